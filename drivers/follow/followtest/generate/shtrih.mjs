// A till that speaks to a Shtrih-M register, from the maker's document.
import fs from 'node:fs';
const out = new URL('../streams/', import.meta.url);
fs.mkdirSync(out, { recursive: true });

// Windows-1251 of Russian letters and ASCII.
const cp1251 = s => [...s].map(c => {
  const u = c.codePointAt(0);
  if (u < 128) return u;
  if (u >= 0x410 && u <= 0x44f) return u - 0x410 + 0xc0;
  if (c === 'Ё') return 0xa8; if (c === 'ё') return 0xb8; if (c === '№') return 0xb9;
  throw new Error('no letter ' + c);
});
const le = (v, n) => Array.from({ length: n }, (_, i) => Math.floor(v / 256 ** i) % 256);
const pad = (b, n) => [...b.slice(0, n), ...Array(Math.max(0, n - b.length)).fill(0)];
const hex = b => Buffer.from(b).toString('hex');
const PW = le(1, 4), ADMIN = le(30, 4);

const turns = [];
const frame = body => { const f = [body.length, ...body]; return [2, ...f, f.reduce((a, b) => a ^ b, 0)]; };
const command = (...body) => turns.push({ send: '05', wait: 'byte' }, { send: hex(frame(body.flat())), wait: 'answer' }, { send: '06', wait: '' });
const text = s => pad(cp1251(s), 40);

const status = () => command(0x10, PW);
const open = kind => command(0x8d, PW, kind);
const sale = (name, qty, price) => command(0x80, PW, le(qty, 5), le(price, 5), 1, [0, 0, 0, 0], text(name));
const storno = (name, qty, price) => command(0x84, PW, le(qty, 5), le(price, 5), 1, [0, 0, 0, 0], text(name));
const discount = (sum, name) => command(0x86, PW, le(sum, 5), [0, 0, 0, 0], text(name));
const subtotal = () => command(0x89, PW);
const line = s => command(0x17, PW, 2, text(s));
const close = (cash, card, t = '') => command(0x85, PW, le(cash, 5), le(card, 5), le(0, 5), le(0, 5), le(0, 2), [0, 0, 0, 0], text(t));
const cancel = () => command(0x88, PW);
const save = name => { fs.writeFileSync(new URL(name, out), JSON.stringify(turns.splice(0), null, 1) + '\n'); };

status();
open(0);
sale('Хлеб', 1000, 4500);
sale('Молоко 3,2%', 2000, 8990);
status();
discount(980, 'Скидка на молоко');
sale('Сыр', 350, 78000);
sale('Пакет', 1000, 500);
storno('Пакет', 1000, 500);
line('Спасибо за покупку!');
subtotal();
close(60000, 0, 'Ждём вас снова');
command(0x25, PW, 1);
save('shtrih-sale.json');

// Paid by card, after one that was cancelled and one that was a return; a
// frame is sent with a wrong check first, as after noise on the cable.
status();
open(0); sale('Чай', 1000, 12000); cancel();
open(2); command(0x82, PW, le(1000, 5), le(4500, 5), 1, [0, 0, 0, 0], text('Хлеб')); close(4500, 0);
open(0);
turns.push({ send: '05', wait: 'byte' });
const bad = frame([0x80, ...PW, ...le(1000, 5), ...le(25000, 5), 1, 0, 0, 0, 0, ...text('Кофе')]);
turns.push({ send: hex([...bad.slice(0, -1), bad.at(-1) ^ 0xff]), wait: 'byte' });
turns.push({ send: hex(bad), wait: 'answer' }, { send: '06', wait: '' });
subtotal(); discount(5000, 'Скидка на чек'); subtotal();
close(0, 20000);
save('shtrih-card.json');
