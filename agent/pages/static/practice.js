/* The practice till: a small cash program in a page. It does what any cash
   software does, through the same calls and in the same order:

     identify -> calculate (after every change) -> authorise -> capture | void

   Paying uses one Idempotency-Key per step and receipt, so pressing the key
   again after a lost answer can never sell twice. */
(function () {
  'use strict';

  var T = window.Tillside, byId = T.byId;

  var now = T.newState();
  now.goods = null;     // from the agent; null: not asked yet
  now.currency = '';
  now.off = false;      // the agent has no practice mode
  now.who = null;       // {member, known}
  now.slip = null;      // {lines, state}: the text, and what became of it on paper
  now.message = null;   // {key, blanks, bad} or {text, bad}

  var sale;             // the receipt on the counter

  function newSale() {
    var d = new Date();
    function two(n) { return (n < 10 ? '0' : '') + n; }
    sale = {
      id: 'P' + two(d.getMonth() + 1) + two(d.getDate()) + '-' + T.key().slice(0, 8),
      state: 'open', lines: [], spend: '', result: null, asked: 0, priced: 0, busy: false, unsure: false, later: false, sure: false, asking: false, done: null,
      keys: { authorise: T.key(), capture: T.key(), void: T.key() }, sent: null
    };
  }

  function remember() {
    try {
      if (sale.state === 'held' || sale.unsure) { sessionStorage.setItem('tillside.held', sale.id); } else { sessionStorage.removeItem('tillside.held'); }
    } catch (e) { /* the agent lets go of a forgotten hold by itself */ }
  }

  /* ---- the basket ---- */

  function find(sku) {
    for (var i = 0; i < sale.lines.length; i++) { if (sale.lines[i].good.sku === sku) { return sale.lines[i]; } }
    return null;
  }

  function add(good, count) {
    if (sale.state === 'captured' || sale.state === 'voided') { fresh(true); }
    if (sale.state !== 'open' || sale.unsure) { return; }
    var l = find(good.sku);
    if (l) { l.count += count; } else if (count > 0) { l = { good: good, count: count }; sale.lines.push(l); }
    if (l && l.count <= 0) { sale.lines.splice(sale.lines.indexOf(l), 1); }
    now.message = null;
    price();
    draw();
  }

  function body() {
    var b = { id: sale.id, lines: [], spend: sale.spend }, i, g, x;
    if (now.currency) { b.currency = now.currency; }
    if (now.who && now.who.member.token) { b.member = now.who.member.token; }
    for (i = 0; i < sale.lines.length; i++) {
      g = sale.lines[i].good;
      x = { id: String(i + 1), sku: g.sku, name: g.name, quantity: String(sale.lines[i].count), price: g.price };
      if (g.category) { x.category = g.category; }
      if (g.brand) { x.brand = g.brand; }
      if (g.unit) { x.unit = g.unit; }
      if (g.tax_rate) { x.tax_rate = g.tax_rate; }
      b.lines.push(x);
    }
    return b;
  }

  function path(deed) { return '/v1/receipts/' + encodeURIComponent(sale.id) + '/' + deed; }

  /* Price the basket anew. One question at a time: two on their way could be
     answered in either order, and the cashier's page would show the older
     basket. What changed meanwhile is asked when the answer is there. */
  function price(done) {
    var mine = ++sale.asked, s = sale;
    if (done) { s.done = done; }
    if (!sale.lines.length) { sale.result = null; sale.priced = mine; draw(); return; }
    if (s.asking) { return; }
    s.asking = true;
    T.call('POST', path('calculate'), body(), function (err, a) {
      var then = s.done;
      s.asking = false;
      if (s !== sale) { return; }
      if (mine !== s.asked && s.lines.length) { price(); return; }
      if (mine !== s.asked) { return; }
      s.priced = mine;
      s.done = null;
      if (err) { trouble(err); now.message.price = true; draw(); return; }
      s.result = a.result || a;
      s.later = !!a.to_be_credited;
      if (now.message && (now.message.price || now.message.key === 'practice.pricing')) { now.message = null; }
      draw();
      if (then) { then(); }
    });
  }

  function trouble(err) { now.message = { text: err.message + (err.hint ? ' ' + err.hint : ''), bad: true }; }

  /* ---- paying ---- */

  function pay() {
    if (sale.busy || !sale.result || sale.state === 'captured' || sale.state === 'voided') { return; }
    if (sale.priced !== sale.asked) { /* nobody pays a price he has not seen */
      now.message = { key: 'practice.pricing' };
      drawMessage();
      return;
    }
    sale.busy = true;
    now.message = null;
    draw();
    if (sale.state === 'held') { capture(); return; }
    if (!sale.sent) {
      sale.sent = body();
      sale.sent.expect = { net: sale.result.totals.net, discount: sale.result.totals.discount, redeemed: sale.result.totals.redeemed };
    }
    var s = sale;
    T.call('POST', path('authorise'), sale.sent, function (err, a) {
      if (s !== sale) { return; }
      if (err) {
        s.busy = false;
        s.unsure = err.code === 'unreachable' || err.status >= 500;
        if (!s.unsure) { s.sent = null; s.keys.authorise = T.key(); }
        remember();
        if (err.code === 'price_changed') { price(function () { now.message = { key: 'practice.changed', bad: true }; draw(); }); return; }
        trouble(err);
        draw();
        return;
      }
      s.state = 'held';
      s.unsure = false;
      s.result = a.result || a;
      remember();
      draw();
      capture();
    }, sale.keys.authorise);
  }

  function capture() {
    var s = sale;
    var b = { fiscal_number: s.id, shift: 'practice', cashier: 'practice', tenders: [{ kind: 'cash', amount: s.result.totals.net }] };
    if (hasPrinter()) { b.print = 'agent'; }
    T.call('POST', path('capture'), b, function (err, a) {
      if (s !== sale) { return; }
      s.busy = false;
      if (err) { trouble(err); draw(); return; }
      s.state = 'captured';
      if (a.result) { s.result = a.result; }
      s.later = !!a.to_be_credited;
      now.message = { key: 'practice.paid' };
      now.slip = { lines: (a.print || []).join('\n'), state: a.slip || '' };
      remember();
      draw();
      byId('new').focus();
    }, s.keys.capture);
  }

  function hasPrinter() {
    for (var n in now.devices) { if (now.devices.hasOwnProperty(n) && now.devices[n].kind === 'printer') { return true; } }
    return false;
  }

  /* Print the slip once more; the agent marks it as a copy. */
  function copy() {
    var s = sale;
    if (s.state !== 'captured') { return; }
    T.call('POST', path('print'), {}, function (err, a) {
      if (s !== sale || !now.slip) { return; }
      if (err) { trouble(err); } else if (a.slip) { now.slip.state = a.slip; }
      draw();
    });
  }

  function voidIt() {
    if (sale.busy || (sale.state !== 'captured' && sale.state !== 'held')) { return; }
    if (!sale.sure && sale.state === 'captured') { sale.sure = true; draw(); return; }
    var s = sale;
    s.busy = true;
    draw();
    T.call('POST', path('void'), {}, function (err) {
      if (s !== sale) { return; }
      s.busy = false;
      s.sure = false;
      if (err) { trouble(err); draw(); return; }
      s.state = 'voided';
      now.message = { key: 'practice.voided' };
      remember();
      draw();
      byId('new').focus();
    }, s.keys.void);
  }

  /* A fresh receipt; the customer goes unless the sale has not begun. */
  function fresh(keep) {
    if (sale.busy) { return; } /* a payment on its way is not left alone */
    if (sale.state === 'held' || sale.unsure) { T.call('POST', path('void'), {}, function () {}, sale.keys.void); }
    if (!keep || sale.state === 'captured') { now.who = null; }
    newSale();
    remember();
    now.slip = null;
    now.message = null;
    byId('amount').value = byId('card').value = byId('article').value = '';
    draw();
    byId('article').focus();
  }

  /* ---- the customer ---- */

  function identify(asPhone) {
    var typed = byId('card').value.replace(/^\s+|\s+$/g, '');
    if (!typed) { byId('card').focus(); return; }
    T.call('POST', '/v1/identify', asPhone || typed.charAt(0) === '+' ? { phone: typed } : { input: typed }, function (err, a) {
      if (err) { trouble(err); draw(); byId('card').select(); return; }
      byId('card').value = '';
      take({ type: 'member', member: a.member, known: a.known });
      byId('article').focus();
    });
  }

  function take(e) {
    if (e.type === 'member') {
      if (sale.state === 'captured' || sale.state === 'voided') { if (!e.member) { return; } fresh(false); }
      if (sale.state !== 'open' || sale.unsure) { return; }
      if (now.who && e.member && now.who.member.token === e.member.token) { return; }
      now.who = e.member ? { member: e.member, known: e.known !== false } : null;
      if (!now.who) { sale.spend = ''; }
      price();
    } else if (e.type === 'spend') {
      if (e.receipt !== sale.id || sale.state !== 'open' || (e.spend || '') === sale.spend) { return; }
      sale.spend = e.spend || '';
      price();
    } else if (e.type === 'receipt') {
      if (e.receipt !== sale.id) { return; }
      if (e.slip && now.slip) { now.slip.state = e.slip; }
      if (e.state === 'voided' && sale.state === 'held' && !sale.busy) { sale.state = 'voided'; }
    } else if (!T.takeState(now, e)) { return; }
    draw();
  }

  /* ---- points ---- */

  function choose(spend) {
    if (sale.state !== 'open' || sale.unsure) { return; }
    sale.spend = spend;
    price();
  }

  var desk = T.pointsDesk(choose);

  /* ---- drawing ---- */

  function drawShelf() {
    var shelf = byId('goods'), i, b, g, wish = byId('article').value.toLowerCase(), any = false;
    var had = shelf.contains(document.activeElement) ? document.activeElement.getAttribute('data-sku') : '';
    T.clear(shelf);
    for (i = 0; now.goods && i < now.goods.length; i++) {
      g = now.goods[i];
      if (wish && String(g.name).toLowerCase().indexOf(wish) < 0 && String(g.sku).toLowerCase().indexOf(wish) < 0) { continue; }
      b = T.el('button', 'ware');
      b.type = 'button';
      b.setAttribute('data-sku', g.sku);
      b.tabIndex = any ? -1 : 0;
      b.appendChild(T.el('span', 'what', g.name));
      b.appendChild(T.el('span', 'sku', g.sku));
      b.appendChild(T.el('span', 'price', T.money(g.price, now.currency)));
      shelf.appendChild(b);
      if (g.sku === had) { b.focus(); }
      any = true;
    }
    if (now.goods && !any) { shelf.appendChild(T.el('p', 'plain', T.t('practice.nogoods'))); }
  }

  function step(li, good, sign, key) {
    var b = T.el('button', 'step', sign > 0 ? '+' : '\u2212');
    b.type = 'button';
    b.setAttribute('data-sku', good.sku);
    b.setAttribute('data-step', String(sign));
    b.setAttribute('aria-label', T.t(key, { name: good.name }));
    b.disabled = sale.state !== 'open' || sale.unsure;
    li.appendChild(b);
  }

  function drawBasket() {
    var list = byId('basket'), act = document.activeElement, had = '', i, l, li, lr, x;
    if (list.contains(act)) { had = act.getAttribute('data-sku') + ' ' + act.getAttribute('data-step'); }
    T.clear(list);
    if (!sale.lines.length) { list.appendChild(T.el('li', 'plain', T.t('practice.empty'))); }
    for (i = 0; i < sale.lines.length; i++) {
      l = sale.lines[i];
      lr = sale.result && sale.result.lines[i];
      li = T.el('li');
      step(li, l.good, -1, 'practice.less');
      li.appendChild(T.el('span', 'count', T.number(String(l.count))));
      step(li, l.good, 1, 'practice.more');
      li.appendChild(T.el('span', 'text', l.good.name));
      x = T.el('span', 'gain');
      if (lr && lr.gross !== lr.net) { x.appendChild(T.el('s', '', T.number(lr.gross, 2))); x.appendChild(document.createTextNode(' ')); }
      x.appendChild(document.createTextNode(lr ? T.number(lr.net, 2) : '\u2026'));
      li.appendChild(x);
      list.appendChild(li);
    }
    if (had) {
      var b = list.querySelectorAll('button'), k;
      for (k = 0; k < b.length; k++) { if (b[k].getAttribute('data-sku') + ' ' + b[k].getAttribute('data-step') === had) { b[k].focus(); } }
      if (!list.contains(document.activeElement)) { byId('article').focus(); }
    }
    T.clear(byId('why'));
    if (sale.result && !T.whyList(byId('why'), sale.result)) { byId('why').appendChild(T.el('li', 'plain', T.t('receipt.nothing'))); }
  }

  function drawWho() {
    var m = now.who && now.who.member, text = T.t('practice.card.none'), parts, b, s;
    if (m && !now.who.known) { text = T.t('practice.card.unknown'); }
    if (m && now.who.known) {
      parts = [m.first_name || T.t('member.noname')];
      if (m.tier_name || m.tier) { parts.push(m.tier_name || m.tier); }
      b = m.balances && m.balances[0];
      if (b) { parts.push(T.t('practice.balance', { points: T.points(b.active), time: T.when(b.as_of) })); }
      s = m.card_status;
      if (s && s !== 'active' && T.has('card.' + s)) { parts.push(T.t('card.' + s)); }
      text = parts.join(' \u00b7 ');
    }
    T.put(byId('who'), text);
    byId('who').className = 'who' + (m ? ' known' : '');
  }

  function drawTill() {
    var r = sale.result, cur = r ? r.currency : now.currency;
    var v = { state: sale.lines.length ? sale.state : '', free: !sale.unsure, result: r, later: sale.later, choice: sale.spend, who: now.who, mode: now.mode };
    T.put(byId('baskettitle'), T.t('receipt.title', { id: sale.id }));
    T.drawSums(v);
    desk.draw(v);
    T.put(byId('gross'), r ? T.money(r.totals.gross, cur) : '\u2013');
    T.put(byId('redeemed'), r ? T.money(T.negate(r.totals.redeemed), cur) : '\u2013');
    byId('pay').disabled = !r || sale.busy || sale.state === 'captured' || sale.state === 'voided';
    T.show(byId('pay'), sale.state === 'open' || sale.state === 'held');
    T.show(byId('void'), sale.state === 'captured' || sale.state === 'held');
    byId('void').disabled = byId('new').disabled = sale.busy;
    T.put(byId('voidtext'), T.t(sale.sure ? 'practice.void.sure' : 'practice.void'));
  }

  function pieces() {
    for (var i = 0, n = 0; i < sale.lines.length; i++) { n += sale.lines[i].count; }
    return n;
  }

  function drawMessage() {
    var m = now.message, text = '';
    if (m) { text = m.text || T.t(m.key, m.blanks); }
    else if (sale.lines.length && !sale.result) { text = T.t('practice.pricing'); }
    else if (sale.result) { text = T.t('practice.priced', { pieces: T.t('pieces', { n: String(pieces()) }), net: T.money(sale.result.totals.net, sale.result.currency) }); }
    byId('message').className = 'message' + (m ? m.bad ? ' bad' : ' good' : '');
    T.put(byId('message'), text);
  }

  function drawSlip() {
    var s = now.slip, key = s && 'practice.slip.' + s.state;
    T.show(byId('slip'), !!s);
    T.show(byId('goods'), !s);
    T.show(byId('whybox'), !s);
    if (!s) { return; }
    T.put(byId('sliptext'), s.lines || T.t('practice.slip.none'));
    T.put(byId('slipstate'), T.has(key) ? T.t(key) : '');
    byId('slipstate').className = s.state === 'not_printed' || s.state === 'unknown' ? 'trouble mild' : '';
    T.show(byId('copy'), !!s.state && sale.state === 'captured');
  }

  function draw() {
    var denied = now.link === 'denied';
    T.show(byId('work'), !denied && !now.off);
    T.show(byId('off'), !denied && now.off);
    T.drawBoard(now);
    drawWho();
    drawBasket();
    drawTill();
    drawMessage();
    drawSlip();
  }

  /* ---- keys and clicks ---- */

  function goodOf(e) {
    var b = e.target, sku, i;
    while (b && b !== document && !b.getAttribute('data-sku')) { b = b.parentNode; }
    if (!b || b === document) { return null; }
    sku = b.getAttribute('data-sku');
    for (i = 0; i < now.goods.length; i++) { if (now.goods[i].sku === sku) { return { good: now.goods[i], step: +(b.getAttribute('data-step') || 1) }; } }
    return null;
  }

  function onGood(e) {
    var x = goodOf(e);
    if (x) { add(x.good, x.step); }
  }

  byId('goods').addEventListener('click', onGood);
  byId('basket').addEventListener('click', onGood);

  /* Arrow keys walk along the shelf, as in any list of keys. */
  byId('goods').addEventListener('keydown', function (e) {
    var move = { ArrowRight: 1, Right: 1, ArrowLeft: -1, Left: -1, ArrowDown: 0, Down: 0, ArrowUp: 0, Up: 0, Home: 0, End: 0 };
    if (!move.hasOwnProperty(e.key)) { return; }
    var b = byId('goods').querySelectorAll('button'), i, at = -1, row = 1;
    for (i = 0; i < b.length; i++) { if (b[i] === document.activeElement) { at = i; } }
    while (row < b.length && b[row].offsetTop === b[0].offsetTop) { row++; }
    if (at < 0) { return; }
    if (/Down/.test(e.key)) { i = at + row; } else if (/Up/.test(e.key)) { i = at - row; } else if (e.key === 'Home') { i = 0; } else if (e.key === 'End') { i = b.length - 1; } else { i = at + move[e.key]; }
    e.preventDefault();
    if (i < 0 || i >= b.length) { return; }
    b[at].tabIndex = -1;
    b[i].tabIndex = 0;
    b[i].focus();
  });

  byId('article').addEventListener('input', drawShelf);
  byId('search').addEventListener('submit', function (e) {
    var b = byId('goods').querySelector('button'), i, typed = byId('article').value.replace(/^\s+|\s+$/g, '');
    e.preventDefault();
    if (!typed) { return; }
    for (i = 0; i < now.goods.length; i++) {
      if (now.goods[i].sku === typed) { add(now.goods[i], 1); b = null; typed = ''; break; }
    }
    if (b && typed) { for (i = 0; i < now.goods.length; i++) { if (now.goods[i].sku === b.getAttribute('data-sku')) { add(now.goods[i], 1); typed = ''; } } }
    if (typed) { now.message = { key: 'practice.nogoods', bad: true }; drawMessage(); byId('article').select(); return; }
    byId('article').value = '';
    drawShelf();
  });
  byId('cardform').addEventListener('submit', function (e) { e.preventDefault(); identify(false); });
  byId('findphone').addEventListener('click', function () { identify(true); });
  byId('pay').addEventListener('click', pay);
  byId('copy').addEventListener('click', copy);
  byId('void').addEventListener('click', voidIt);
  byId('new').addEventListener('click', function () { fresh(false); });

  T.keys({
    F2: function () {
      if (document.activeElement === byId('card') && byId('card').value) { identify(false); } else { byId('card').focus(); byId('card').select(); }
    },
    F3: function () { identify(true); },
    F4: desk.keys.F4,
    F6: desk.keys.F6,
    F7: desk.keys.F7,
    F9: T.press('pay'),
    Escape: T.press('new')
  });

  /* ---- start ---- */

  newSale();
  T.whenLanguage(function () { drawShelf(); draw(); });
  T.start();

  /* A receipt that a reload of this page left on hold is released. */
  (function () {
    var held = '';
    try { held = sessionStorage.getItem('tillside.held') || ''; sessionStorage.removeItem('tillside.held'); } catch (e) { held = ''; }
    if (held && T.token) { T.call('POST', '/v1/receipts/' + encodeURIComponent(held) + '/void', {}, function () {}); }
  })();

  function stock() {
    if (now.goods || now.link !== 'up') { return; }
    T.call('GET', '/v1/practice/goods', null, function (err, a) {
      if (err) { now.off = err.status === 404; if (!now.off) { trouble(err); } draw(); return; }
      now.off = false;
      now.goods = a.goods || a;
      now.currency = a.currency || '';
      drawShelf();
      draw();
      byId('article').focus();
    });
  }

  T.keepPosted(now, take, function () { stock(); draw(); });
  draw();
})();
