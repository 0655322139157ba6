/** How the page may move what is looked at: at once for those who asked for little motion. */
export const scrolling = (): ScrollBehavior => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");
