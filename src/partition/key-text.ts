/** A call takes only so many arguments. */
const CHUNK = 4_096;

/** A record's key as the key of a map: one character a byte, so that no two keys give the same text. */
export function keyText(key: Uint8Array): string {
  if (key.length <= CHUNK) return String.fromCharCode(...key);
  let text = '';
  for (let at = 0; at < key.length; at += CHUNK) {
    text += String.fromCharCode(...key.subarray(at, at + CHUNK));
  }
  return text;
}
