/** For fields whose text is for machines: nothing is to be corrected, completed or made upper-case. */
export const asTyped = { spellcheck: false, autocapitalize: "off", autocomplete: "off", autocorrect: "off" } as const;
