/* The cashier's page: who the customer is, what the receipt gives and why,
   and the choice of points. All state comes from the agent; the page holds
   only what it was told last and draws it again whenever that changes. */
(function () {
  'use strict';

  var T = window.Tillside, byId = T.byId;

  var now = T.newState();
  now.who = null;      // {member, known, mode}
  now.receipt = null;  // {id, state, result, later}
  now.choice = '';     // what was last chosen in this receipt: max, '' or a number
  now.whynot = false;  // the reasons of what did not apply are shown
  now.not = null;      // those reasons in sentences, asked for when they are wanted
  now.found = null;    // {key, blanks, good} or {text}: what became of the search
  now.last = [];       // what happened last: {at, key, blanks}

  /* ---- what happened last ---- */

  function note(key, blanks, at) {
    now.last.unshift({ at: at ? new Date(at) : new Date(), key: key, blanks: blanks || {} });
    now.last.length = Math.min(now.last.length, 3);
  }

  var freshTimer = {};
  function fresh(pane) {
    var e = document.querySelector('.pane.' + pane);
    e.className = 'pane ' + pane + ' fresh';
    window.clearTimeout(freshTimer[pane]);
    freshTimer[pane] = window.setTimeout(function () { e.className = 'pane ' + pane; }, 6000);
  }

  /* ---- events ---- */

  function takeMember(e) {
    if (!e.member) { leave(); return; }
    var again = now.who && now.who.member.token === e.member.token;
    if (!again && now.receipt && now.receipt.state !== 'open' && now.receipt.state !== 'held') { dropReceipt(); }
    now.who = { member: e.member, known: e.known !== false, mode: e.mode || now.mode };
    if (!again) {
      note(now.who.known ? 'last.member' : 'last.unknown', { name: e.member.first_name || T.t('member.noname') }, e.at);
      fresh('customer');
    }
  }

  function takeReceipt(e) {
    var before = now.receipt, same = before && before.id === e.receipt;
    if (same && !e.result) { e.result = before.result; e.to_be_credited = before.later; } /* a state or a slip alone */
    if (same && !e.state) { e.state = before.state; }
    if (e.slip === 'not_printed' || e.slip === 'unknown') { note('last.noslip', { id: e.receipt }, e.at); }
    if (!same && !e.result) { /* news of an earlier receipt */
      if (e.state === 'voided') { note('last.voided', { id: e.receipt }, e.at); }
      return;
    }
    if (before && !same) { now.choice = ''; now.whynot = false; byId('amount').value = ''; }
    if (before && !same && before.state === 'captured' && !e.member && !(e.result && e.result.member)) { now.who = null; }
    now.receipt = { id: e.receipt, state: e.state || 'open', result: e.result || null, later: !!e.to_be_credited };
    now.not = null;
    askWhyNot();
    if (e.spend !== undefined) { now.choice = e.spend; }
    if (!same || before.state !== now.receipt.state) {
      if (e.state === 'captured') { note('last.captured', { points: T.earned(e.result) }, e.at); }
      else if (e.state === 'voided') { note('last.voided', { id: e.receipt }, e.at); }
      else if (e.state === 'held') { note('last.held', {}, e.at); }
      else if (!same) { note('last.receipt', { id: e.receipt }, e.at); }
    }
    fresh('receipt');
  }

  function take(e) {
    var d = e.device, old = d && now.devices[d.name];
    if (e.type === 'link' && now.mode && e.mode && e.mode !== now.mode) {
      note(e.mode === 'online' ? 'last.online' : 'last.offline', {}, e.at);
    }
    if (e.type === 'device' && old && old.state !== d.state) {
      note('last.device', { kind: d.kind, state: d.state, name: d.name, title: d.title, detail: d.detail }, e.at);
    }
    if (e.type === 'member') { takeMember(e); }
    else if (e.type === 'receipt') { takeReceipt(e); }
    else if (e.type === 'spend') { if (now.receipt && now.receipt.id === e.receipt) { now.choice = e.spend || ''; } }
    else if (!T.takeState(now, e)) { return; }
    draw();
  }

  function dropReceipt() {
    now.receipt = null;
    now.choice = '';
    now.whynot = false;
    now.not = null;
    byId('amount').value = '';
  }

  function leave() {
    now.who = null;
    now.found = null;
    byId('number').value = '';
    if (now.receipt && (now.receipt.state === 'captured' || now.receipt.state === 'voided')) { dropReceipt(); }
  }

  /* ---- drawing ---- */

  function line(parent, cls, text) { parent.appendChild(T.el('div', cls, text)); }

  function drawBalances(m) {
    var box = T.clear(byId('balances')), list = m && m.balances || [], i;
    for (i = 0; i < list.length; i++) {
      var b = list[i], w = T.el('div', 'wallet'), big = T.el('div', 'big num' + (String(b.active).length > 10 ? ' long' : ''));
      if (list.length > 1) { line(w, 'name', b.name || b.wallet); }
      big.appendChild(document.createTextNode(T.number(b.active) + ' '));
      if (list.length === 1) { big.appendChild(T.el('small', '', T.t('points.word', { n: b.active }))); }
      w.appendChild(big);
      if (b.as_of) { line(w, 'note', T.t('balance.asof', { time: T.when(b.as_of) })); }
      if (!T.isZero(b.to_be_credited)) { line(w, 'note', T.t('balance.later', { points: T.points(b.to_be_credited) })); }
      if (!T.isZero(b.pending)) { line(w, 'note', T.t('balance.pending', { points: T.points(b.pending) })); }
      if (!T.isZero(b.expiring)) { line(w, 'note', T.t('balance.expiring', { points: T.points(b.expiring), day: T.day(b.expires_on) })); }
      if (now.receipt && now.receipt.state === 'captured' && moves(b.wallet)) { line(w, 'note strong', T.t('balance.receipt', { moves: moves(b.wallet) })); }
      box.appendChild(w);
    }
  }

  /* What the paid receipt adds to and takes from a wallet: the balance above
     is the one before it. */
  function moves(wallet) {
    var r = now.receipt.result || {}, n = 0, i, list = r.earned || [], text = [];
    for (i = 0; i < list.length; i++) { if (list[i].wallet === wallet) { n += T.hundredths(list[i].points); } }
    if (n) { text.push('+' + T.number(T.decimal(n))); }
    if (r.spend && r.spend.wallet === wallet && !T.isZero(r.spend.points)) { text.push(T.number(T.negate(r.spend.points))); }
    return text.join(', ');
  }

  var cardTrouble = { blocked: '', lost: '', inactive: 'mild', unknown: 'mild' };

  function drawCustomer() {
    var m = now.who && now.who.member, known = now.who && now.who.known, s = m && m.card_status || '', i;
    var head = T.t('wait.title');
    if (m) { head = known ? m.greeting || T.t('greeting', { name: m.first_name || T.t('member.noname') }) : T.t('unknown.title'); }
    T.put(byId('greeting'), head);
    byId('greeting').className = head.length > 30 ? 'long' : '';

    var st = T.clear(byId('standing'));
    if (m && known && (m.tier_name || m.tier)) { st.appendChild(T.el('span', 'badge tier', m.tier_name || m.tier)); }
    if (m && known && T.has('card.' + (s || 'active'))) {
      st.appendChild(T.el('span', 'badge ' + (s === '' || s === 'active' ? 'good' : cardTrouble[s] === '' ? 'bad' : 'warn'), T.t('card.' + (s || 'active'))));
    }
    if (m && m.birthday) { st.appendChild(T.el('span', 'badge warn', T.t('birthday'))); }
    if (!m) { st.appendChild(document.createTextNode(T.t('wait.text'))); }

    T.show(byId('waiting'), !m);
    var trouble = byId('trouble');
    if (m && !known) { s = 'unknown'; }
    T.show(trouble, !!m && cardTrouble.hasOwnProperty(s));
    if (m && cardTrouble.hasOwnProperty(s)) {
      trouble.className = 'trouble ' + cardTrouble[s];
      T.put(trouble, T.t('trouble.' + s));
    }
    drawBalances(m && known ? m : null);
    drawGoal();

    var words = m ? sayNow(m) : T.t('wait.say');
    var list = T.clear(byId('prompts')), p = m && m.prompts || [], more = m ? told() : [];
    for (i = 0; i < p.length; i++) { list.appendChild(T.el('li', '', p[i])); }
    for (i = 0; i < more.length; i++) { if (more[i].text !== words) { list.appendChild(T.el('li', '', more[i].text)); } }
    T.put(byId('say'), words);
    byId('say').className = words.length > 75 ? 'long' : '';
  }

  /* What rulebook and rules tell the cashier about this receipt. */
  function told() {
    var r = now.receipt, list = r && r.state !== 'captured' && r.result && r.result.messages || [], out = [], i;
    for (i = 0; i < list.length; i++) { if (list[i].to === 'cashier') { out.push(list[i]); } }
    return out;
  }

  /* One thing to say: after the sale the thanks, then what a rule of this
     receipt wants said, then what the member's data suggest. All else that is
     told stands in the list of prompts. */
  function sayNow(m) {
    var r = now.receipt, list = told(), i;
    if (r && r.state === 'captured') {
      var n = T.earned(r.result);
      if (!T.isZero(n)) { return T.t(r.later ? 'say.thanks.later' : 'say.thanks', { points: T.points(n) }); }
      return T.t('say.bye');
    }
    for (i = 0; i < list.length; i++) { if (list[i].rule) { return list[i].text; } }
    if (!now.who.known) { return T.t('unknown.say'); }
    if (T.has('say.' + m.card_status)) { return T.t('say.' + m.card_status); }
    if (m.say) { return m.say; }
    return m.balances && m.balances[0] ? T.t('say.hello', { points: T.points(m.balances[0].active) }) : T.t('say.bye');
  }

  function drawGoal() {
    var r = now.receipt && now.receipt.result, g = r && r.tier, text = '', i;
    if (now.who && g && g.after && g.before !== g.after) {
      text = T.t('goal.reached', { tier: g.after_name || g.after });
    } else if (now.who && g && g.next && g.missing) {
      var what = g.unit === 'money' ? T.money(g.missing, r.currency) : g.unit === 'visits' ? T.t('visits', { n: g.missing }) : T.points(g.missing);
      text = T.t('goal.next', { missing: what, tier: g.next_name || g.next });
    }
    var stamps = now.who && r && r.stamps || [];
    for (i = 0; i < stamps.length; i++) {
      text += (text ? ' \u00b7 ' : '') + T.t('stamps', { card: stamps[i].name || stamps[i].card, held: stamps[i].held, goal: stamps[i].goal });
    }
    T.put(byId('goal'), text);
  }

  function drawWhy(r) {
    var list = T.clear(byId('why')), reasons = T.clear(byId('reasons')), i, x;
    T.show(byId('whynot'), !!r && now.whynot);
    byId('whykey').setAttribute('aria-expanded', r && now.whynot ? 'true' : 'false');
    byId('whykey').disabled = !r;
    if (!r) { list.appendChild(T.el('li', 'plain', T.t('receipt.none'))); return; }
    if (!T.whyList(list, r)) { list.appendChild(T.el('li', 'plain', T.t('receipt.nothing'))); }
    for (i = 0; now.not && i < now.not.length; i++) {
      x = now.not[i];
      reasons.appendChild(T.el('li', '', (x.name || x.rule || x.line) + ': ' + x.text));
    }
    if (!now.not) { reasons.appendChild(T.el('li', 'plain', T.t('whynot.asking'))); }
    if (!reasons.firstChild) { reasons.appendChild(T.el('li', 'plain', T.t('whynot.none'))); }
  }

  function drawReceipt() {
    var x = now.receipt, r = x && x.result, state = x && x.state || '';
    T.put(byId('rtitle'), x ? T.t('receipt.title', { id: x.id }) : T.t('receipt.empty'));
    var v = { state: state, free: true, result: r, later: !!x && x.later, choice: now.choice, who: now.who, mode: now.mode };
    T.drawSums(v);
    desk.draw(v);
    drawWhy(r);
  }

  function drawLast() {
    var list = T.clear(byId('last')), i;
    for (i = 0; i < now.last.length; i++) {
      var n = now.last[i], li = T.el('li'), b = {}, k;
      for (k in n.blanks) { if (n.blanks.hasOwnProperty(k)) { b[k] = n.blanks[k]; } }
      if (n.key === 'last.captured') { b.points = T.points(b.points); }
      if (n.key === 'last.device') { b.device = T.deviceKind(b); b.state = T.deviceWord(b).text; }
      li.appendChild(T.el('time', '', T.clock(n.at)));
      li.appendChild(document.createTextNode(T.t(n.key, b)));
      list.appendChild(li);
    }
  }

  function drawFound() {
    var f = now.found, e = byId('found');
    e.className = 'found' + (f && f.good ? ' good' : '');
    T.put(e, f ? f.text || T.t(f.key, f.blanks) : '');
  }

  function draw() {
    T.show(byId('work'), now.link !== 'denied');
    T.show(byId('foot'), now.link !== 'denied');
    T.drawBoard(now);
    T.show(byId('other'), !!(now.status && now.status.practice));
    drawCustomer();
    drawReceipt();
    drawFound();
    drawLast();
  }

  /* ---- what the cashier does ---- */

  var asking = 0;

  function find(asPhone) {
    var typed = byId('number').value.replace(/^\s+|\s+$/g, ''), mine = ++asking;
    if (!typed) { now.found = { key: 'find.empty' }; drawFound(); byId('number').focus(); return; }
    var body = asPhone || typed.charAt(0) === '+' ? { phone: typed } : { input: typed };
    now.found = { key: 'find.asking', good: true };
    drawFound();
    T.call('POST', '/v1/identify', body, function (err, a) {
      if (mine !== asking) { return; }
      if (err) {
        now.found = { text: err.message + (err.hint ? ' ' + err.hint : '') };
        drawFound();
        byId('number').select();
        return;
      }
      takeMember({ member: a.member, known: a.known, mode: a.mode });
      now.found = { key: a.known === false ? 'find.unknown' : 'find.done', good: a.known !== false, blanks: { name: a.member.first_name || T.t('member.noname') } };
      byId('number').value = '';
      draw();
    });
  }

  /* The event stream leaves the reasons out, since most of the time nobody
     wants them. */
  function askWhyNot() {
    var r = now.receipt;
    if (!now.whynot || !r || now.not) { return; }
    T.call('GET', '/v1/receipts/' + encodeURIComponent(r.id), null, function (err, a) {
      if (now.receipt !== r || err) { if (err) { now.not = []; draw(); } return; }
      now.not = a.explanation && a.explanation.not || [];
      draw();
    });
  }

  function choose(spend) {
    var r = now.receipt;
    if (!r) { return; }
    T.call('POST', '/v1/receipts/' + encodeURIComponent(r.id) + '/spend', { spend: spend }, function (err, a) {
      if (err) {
        T.put(byId('spendtext'), err.message + (err.hint ? ' ' + err.hint : ''));
        return;
      }
      if (now.receipt && now.receipt.id === r.id) {
        now.choice = spend;
        if (a.result || a.totals) { now.receipt.result = a.result || a; }
        note(spend === '' || spend === '0' ? 'last.spendnone' : 'last.spend', { points: T.points(now.receipt.result.spend ? now.receipt.result.spend.points : '0') });
        draw();
      }
    });
  }

  var desk = T.pointsDesk(choose);

  byId('find').addEventListener('submit', function (e) { e.preventDefault(); find(false); });
  byId('findphone').addEventListener('click', function () { find(true); });
  byId('next').addEventListener('click', function () { leave(); dropReceipt(); draw(); byId('number').focus(); });
  byId('whykey').addEventListener('click', function () {
    now.whynot = !now.whynot;
    askWhyNot();
    draw();
    if (now.whynot) { byId('whynot').scrollIntoView(); }
  });

  T.keys({
    F2: function () { byId('number').focus(); byId('number').select(); },
    F3: function () { find(true); },
    F4: desk.keys.F4,
    F6: desk.keys.F6,
    F7: desk.keys.F7,
    F8: T.press('whykey'),
    Escape: T.press('next')
  });

  /* ---- start ---- */

  T.whenLanguage(draw);
  T.start();

  T.keepPosted(now, take, draw);
  draw();
  if (T.token) { byId('number').focus(); }
})();
