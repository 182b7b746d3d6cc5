// A till that speaks the Posnet protocol, from the maker's specification.
import fs from 'node:fs';
const out = new URL('../streams/', import.meta.url);
fs.mkdirSync(out, { recursive: true });

const cp1250 = { 'ą': 0xb9, 'ć': 0xe6, 'ę': 0xea, 'ł': 0xb3, 'ń': 0xf1, 'ó': 0xf3, 'ś': 0x9c, 'ź': 0x9f, 'ż': 0xbf, 'Ż': 0xaf, 'Ł': 0xa3, 'Ś': 0x8c };
const bytes = s => [...s].map(c => cp1250[c] ?? c.charCodeAt(0));
const crc = b => { let r = 0; for (const c of b) { r ^= c << 8; for (let i = 0; i < 8; i++) r = r & 0x8000 ? (r << 1 ^ 0x1021) & 0xffff : r << 1; } return r; };
const turns = [];
const send = (s, wait = 'etx') => {
  const body = bytes(s.replaceAll('|', '\t'));
  const sum = crc(body).toString(16).toUpperCase().padStart(4, '0');
  turns.push({ send: Buffer.from([2, ...body, ...bytes('#' + sum), 3]).toString('hex'), wait });
};
const save = name => fs.writeFileSync(new URL(name, out), JSON.stringify(turns.splice(0), null, 1) + '\n');

// The usual till: the printer finishes the footer by itself.
send('!sdev|');
send('trinit|bm0|');
send('trline|naKawa ziarnista|vt0|pr4200|il1|wa4200|');
send('trline|naChleb żytni|vt1|pr650|il2|wa1300|rd1|rnRabat|rw100|');
send('!sprn|');
send('trline|naJabłka|vt1|pr320|il1.250|wa400|');
send('trline|naTorba|vt0|pr50|il1|wa50|');
send('trline|naTorba|vt0|pr50|il1|wa50|st1|');
send('trdiscntbill|naStały klient|rd1|rp500|');
send('trpayment|ty2|wa5510|re0|');
send('trend|to5510|fp5510|re0|');
send('opendrwr|');
save('posnet-plain.json');

// A till that prints its own footer lines, with tokens, and pays cash.
send('prncancel|');
send('trinit|@0001|bm0|');
send('trline|@0002|naMleko|vt1|pr320|il3|wa960|');
send('trsubtot|@0003|');
send('trpayment|@0004|ty0|wa2000|re0|');
send('trpayment|@0005|ty0|wa1040|re1|');
send('trend|@0006|to960|fp2000|re1040|fe0|');
send('trftrln|@0007|id25|naDziękujemy|');
send('trftrend|@0008|');
send('strns|');
save('posnet-footer.json');
