import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Virtual } from "../ui/Virtual";
import { ROW_BYTES, hexRow } from "./hex";
import { imageType } from "./image";

interface Props {
  blob: Blob;
  name: string;
  /** False while more may come. */
  settled: boolean;
}

/** Bytes as what they are: an image, or a hex dump. */
export function BinaryView({ blob, name, settled }: Props) {
  const [content, setContent] = useState<Uint8Array | null>(null);
  const size = blob.size;
  useEffect(() => {
    let gone = false;
    void blob.arrayBuffer().then((buffer) => {
      if (!gone) setContent(new Uint8Array(buffer));
    });
    return () => {
      gone = true;
    };
  }, [size, name]);
  const asBytes = useSignal(false);
  if (content === null) return null;
  const type = imageType(content, name);
  if (type !== null && settled && !asBytes.value) {
    return (
      <>
        <Picture content={content} type={type} name={name} />
        <button type="button" class="button quiet small" onClick={() => (asBytes.value = true)}>
          Show bytes
        </button>
      </>
    );
  }
  return <Virtual class="hex" label={`Bytes of ${name}`} count={Math.ceil(content.length / ROW_BYTES)} row={(at) => hexRow(content, at * ROW_BYTES)} />;
}

function Picture({ content, type, name }: { content: Uint8Array; type: string; name: string }) {
  const [url, setUrl] = useState<string | null>(null);
  const broken = useSignal(false);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer>], { type }));
    setUrl(made);
    broken.value = false;
    return () => URL.revokeObjectURL(made);
  }, [content, type]);
  if (url === null) return null;
  if (broken.value) return <p class="hint">It begins like an image, but cannot be shown as one.</p>;
  return <img class="picture" src={url} alt={`${name}, as the program wrote it`} onError={() => (broken.value = true)} />;
}
