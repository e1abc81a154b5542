/** Classes of octets (RFC 9110 §5.5, §5.6.2; RFC 3986 §3), as bits of a table: one look-up an octet. */
const classes = new Uint8Array(256);

/** A character of a token. */
export const tokenOctet = 1;
/** Visible ASCII: what a request target may be made of, at most. */
export const visibleOctet = 2;
/** What a field's value may be made of: HTAB, SP, visible ASCII, obs-text. No other control, DEL included. */
export const valueOctet = 4;

for (let octet = 0x21; octet <= 0x7e; octet++) classes[octet] = visibleOctet | valueOctet;
for (const octet of [0x09, 0x20]) classes[octet] = valueOctet;
for (let octet = 0x80; octet <= 0xff; octet++) classes[octet] = valueOctet;
for (const letter of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  classes[letter.charCodeAt(0)] = (classes[letter.charCodeAt(0)] ?? 0) | tokenOctet;

export const octetClasses: Uint8Array = classes;

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
