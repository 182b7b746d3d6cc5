// Plain receipts by three libraries and one by hand.
import fs from 'node:fs';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const Encoder = require('@point-of-sale/receipt-printer-encoder').default ?? require('@point-of-sale/receipt-printer-encoder');
const { ThermalPrinter, PrinterTypes, CharacterSet } = require('node-thermal-printer');
const receiptline = require('receiptline');

const out = new URL('../streams/', import.meta.url);
fs.mkdirSync(out, { recursive: true });
const save = (name, b) => fs.writeFileSync(new URL(name, out), Buffer.from(b));

// A small picture with every byte value, so that anything may look like a command.
const picture = () => {
  const width = 256, height = 16, data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const byte = (y * 32 + (x >> 3)) & 255, on = byte >> (7 - (x & 7)) & 1, i = (y * width + x) * 4;
    data[i] = data[i + 1] = data[i + 2] = on ? 0 : 255;
    data[i + 3] = 255;
  }
  return { data, width, height };
};

{
  const e = new Encoder({ language: 'esc-pos', columns: 42, codepageMapping: 'epson', feedBeforeCut: 4 });
  const row = (l, r) => l + ' '.repeat(42 - l.length - r.length) + r;
  save('escpos-encoder-en.bin', e.initialize().codepage('cp437')
    .align('center').image(picture(), 256, 16, 'threshold').bold(true).line('CORNER SHOP').bold(false)
    .line('Tel. 020 7946 0000').align('left')
    .line('Receipt no. A-1042   2026-03-02 17:05').line('Cashier: 7')
    .rule({ style: 'single' })
    .line(row('Coffee 250 g', '12.50')).line(row('Milk 1 l   2 x 1.15', '2.30')).line(row('Cheese   0.352 kg x 9.80', '3.45'))
    .line(row('Discount 10 %', '-0.35')).line(row('Bread', '1.10'))
    .line(row('SUBTOTAL', '19.00'))
    .bold(true).size(2, 2).line('TOTAL  $19.00').size(1, 1).bold(false)
    .line(row('Cash', '20.00')).line(row('Change', '1.00'))
    .newline().align('center').barcode('4006381333931', 'ean13', 60).qrcode('https://example.com/r/A-1042')
    .line('Thank you').newline().cut().encode());
}

{
  const p = new ThermalPrinter({ type: PrinterTypes.EPSON, width: 48, characterSet: CharacterSet.PC852_LATIN2, interface: 'tcp://127.0.0.1:1', removeSpecialCharacters: false });
  p.alignCenter(); p.println('SKLEP NAROŻNY');
  p.println('ul. Długa 5, 00-238 Warszawa'); p.println('NIP 525-000-00-00');
  p.alignLeft(); p.println('Paragon nr 000217'); p.println('Kasjer: Ania');
  p.drawLine();
  p.leftRight('Kawa ziarnista 1kg   1 x 42,00', '42,00 A');
  p.leftRight('Chleb żytni   2 szt x 6,50', '13,00 B');
  p.leftRight('Rabat Chleb żytni', '-1,00');
  p.leftRight('Jabłka   1,250 kg x 3,20', '4,00 B');
  p.drawLine();
  p.leftRight('Podsuma', '58,00');
  p.leftRight('RABAT 5%', '-2,90');
  p.setTextDoubleHeight(); p.bold(true); p.leftRight('SUMA PLN', '55,10'); p.bold(false); p.setTextNormal();
  p.leftRight('PTU A 23%', '7,85');
  p.leftRight('Karta płatnicza', '55,10');
  p.newLine(); p.println('Dziękujemy!'); p.newLine();
  p.cut(); p.openCashDrawer();
  save('escpos-thermal-pl.bin', p.getBuffer());
}

{
  const doc = ['"МАГАЗИН У ДОМА"', 'ЧЕК № 00451', 'Кассир: Иванова | 02.03.2026', '-',
    'Хлеб бородинский |', '2 x 45.00 | 90.00', 'Молоко 3.2% |', '1 x 89.90 | 89.90', 'Сыр российский |', '0.350 x 780.00 | 273.00',
    'Скидка | -10.00', '-', '^ИТОГ | ^442.90', 'Наличными | 500.00', 'Сдача | 57.10', '-', 'СПАСИБО ЗА ПОКУПКУ', '='].join('\n');
  save('escpos-receiptline-ru.bin', Buffer.from(receiptline.transform(doc, { cpl: 42, encoding: 'cp866', command: 'escpos', cutting: true, spacing: false }), 'binary'));
}

{
  const row = (l, r) => l + ' '.repeat(32 - l.length - r.length) + r + '\n';
  const one = 'KIOSK\nBill 77\n' + row('Tea', '2.00') + row('Cake   3 x 1.50', '4.50') + row('TOTAL', '6.50') + row('VISA', '6.50') + '\n\n\n\n\x1bi';
  const report = 'DAILY REPORT\n' + row('Receipts', '14') + '\n\n\n\n\x1bi';
  const two = 'KIOSK\nBill 78\n' + row('Tea', '2.00') + row('TOTAL', '2.00') + row('Cash', '5.00') + row('Change', '3.00') + '\n\n\n\n\x1bi';
  save('escpos-plain-two.bin', Buffer.from(one + report + two, 'latin1'));
}
