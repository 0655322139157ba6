import { decode, utf8 } from "../api/bytes";
import type { OutputFile } from "../api/types";
import { download } from "../ui/download";
import { bytes } from "../ui/format";
import { BinaryView } from "./BinaryView";
import { imageType } from "./image";
import { result } from "./run";

/** Text files are shown up to here. */
const MAX_SHOWN_CHARS = 20_000;

/** The files that the program left. */
export function FilesPane() {
  const list = result.value?.output_files ?? [];
  if (list.length === 0) return <p class="hint">No file matched the patterns.</p>;
  return (
    <ul class="out-files">
      {list.map((file) => (
        <li key={file.path}>
          <OutFile file={file} />
        </li>
      ))}
    </ul>
  );
}

function OutFile({ file }: { file: OutputFile }) {
  const content = decode(file.content, file.encoding);
  const blob = new Blob([content]);
  const text = imageType(content, file.path) === null && !content.includes(0) ? utf8(content) : null;
  return (
    <section class="output-part" aria-label={file.path}>
      <h3 class="out-file-head">
        <span class="mono">{file.path}</span> <span class="unit">{bytes(file.bytes)}</span>
        <button type="button" class="button quiet small" onClick={() => download(blob, file.path)}>
          Download
        </button>
      </h3>
      {text === null ? (
        <BinaryView blob={blob} name={file.path} settled />
      ) : (
        <pre class="text">
          {text.slice(0, MAX_SHOWN_CHARS)}
          {text.length > MAX_SHOWN_CHARS && "\n…"}
        </pre>
      )}
    </section>
  );
}
