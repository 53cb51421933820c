/** Console data as the contract carries it: a string of one character a byte. */

/** A byte per character, as the contract carries bytes. A snapshot may hold real characters; those are left alone. */
export function fromBytes(data: string): Uint8Array | string {
  const bytes = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += 1) {
    const code = data.charCodeAt(at);
    if (code > 0xff) return data;
    bytes[at] = code;
  }
  return bytes;
}

const encoder = new TextEncoder();
export function toBytes(text: string): string {
  let bytes = '';
  for (const byte of encoder.encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}
