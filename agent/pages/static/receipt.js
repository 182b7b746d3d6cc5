/* What both pages show of a receipt: its sums, what the rules gave and why,
   and the desk where points are chosen. A page describes its receipt by a
   view:

     {state: '' | open | held | captured | voided | …, free: may be changed,
      result: of the agent or null, later: points are credited later,
      choice: points chosen, who: {member, known} or null, mode: online | offline} */
(function () {
  'use strict';

  var T = window.Tillside, byId = T.byId;

  /* T.hundredths makes a whole number of a decimal string, for comparing and
     adding; whole numbers below 2^53 are exact. */
  T.hundredths = function (decimal) {
    var m = /^(-?)(\d+)(?:\.(\d{1,2}))?/.exec(String(decimal));
    if (!m) { return 0; }
    return (m[1] ? -1 : 1) * (+m[2] * 100 + +((m[3] || '') + '00').slice(0, 2));
  };

  T.decimal = function (hundredths) {
    var n = Math.abs(hundredths);
    return (hundredths < 0 ? '-' : '') + Math.floor(n / 100) + '.' + ('0' + n % 100).slice(-2);
  };

  /* T.earned is the sum of the points a result gives. */
  T.earned = function (result) {
    var n = 0, i, list = result && result.earned || [];
    for (i = 0; i < list.length; i++) { n += T.hundredths(list[i].points); }
    return T.decimal(n);
  };

  T.plus = function (decimal) { return (T.isZero(decimal) || T.isMinus(decimal) ? '' : '+') + T.number(decimal); };

  T.reason = function (word) {
    return T.has('reason.' + word) ? T.t('reason.' + word) : String(word || '').replace(/_/g, ' ');
  };

  /* T.whyList fills list with one line per rule, gift and coupon; false if
     there is nothing to tell. */
  T.whyList = function (list, r) {
    var i, x, key, rules = r.rules || [], gifts = r.gifts || [], coupons = r.coupons || [];
    function add(text, discount, points, more) {
      var li = T.el('li'), words = T.el('span', 'text', text);
      if (more && more !== text) { words.appendChild(T.el('span', 'more', more)); }
      li.appendChild(words);
      if (discount) { li.appendChild(T.el('span', 'gain less', discount)); }
      if (points) { li.appendChild(T.el('span', 'gain', points)); }
      list.appendChild(li);
    }
    for (i = 0; i < rules.length; i++) {
      x = rules[i];
      add(x.name || x.explain || x.rule, T.isZero(x.discount) ? '' : T.money(T.negate(x.discount), r.currency),
        T.isZero(x.points) ? '' : (T.isMinus(x.points) ? '' : '+') + T.points(x.points), x.explain);
    }
    if (r.spend && !T.isZero(r.spend.points)) {
      add(T.t('spend.line', { points: T.points(r.spend.points) }), T.money(T.negate(r.spend.value), r.currency));
    }
    for (i = 0; i < gifts.length; i++) { add(T.t('gift', { name: gifts[i].name || gifts[i].sku, count: T.number(gifts[i].quantity) })); }
    for (i = 0; i < coupons.length; i++) {
      x = coupons[i];
      key = 'coupon.' + x.state;
      add(T.t(T.has(key) ? key : 'coupon.other', { code: x.code, state: x.state, reason: T.reason(x.reason), day: x.valid_to ? T.day(x.valid_to) : '' }));
    }
    return !!list.firstChild;
  };

  /* T.whySpend says why no points can be used. */
  T.whySpend = function (who, spend, mode) {
    var s = who && who.member.card_status;
    if (!who) { return T.t('nospend.nocustomer'); }
    if (!who.known) { return T.t('nospend.unknown'); }
    if (s === 'blocked' || s === 'lost' || s === 'inactive') { return T.t('nospend.card'); }
    if (mode === 'offline' || spend && spend.limited_by === 'offline') { return T.t('nospend.offline'); }
    if (spend && spend.limited_by && T.has('reason.' + spend.limited_by)) { return T.reason(spend.limited_by); }
    return T.t('nospend.none');
  };

  var badges = { captured: ' good', voided: ' bad', held: ' warn' };

  /* T.drawSums fills the sums and the word for the state. */
  T.drawSums = function (v) {
    var r = v.result, paid = v.state === 'captured';
    T.put(byId('rstate'), v.state ? T.has('state.' + v.state) ? T.t('state.' + v.state) : v.state : '');
    byId('rstate').className = 'badge' + (badges[v.state] || '');
    T.put(byId('netlabel'), T.t(paid ? 'sum.paid' : 'sum.net'));
    T.put(byId('earnlabel'), T.t(v.later ? 'sum.later' : paid ? 'sum.earned' : 'sum.earns'));
    T.put(byId('discount'), r ? T.money(T.negate(r.totals.discount), r.currency) : '\u2013');
    T.put(byId('earned'), r ? T.plus(T.earned(r)) : '\u2013');
    T.put(byId('net'), r ? T.money(r.totals.net, r.currency) : '\u2013');
  };

  function spendText(v, s, may, using) {
    var r = v.result, is;
    if (!r) { return T.t('spend.idle'); }
    if (v.state === 'voided') { return T.t('spend.voided'); }
    is = using ? { points: T.points(s.points), value: T.money(s.value, r.currency) } : null;
    if (v.state !== 'open') { return is ? T.t(v.state === 'held' ? 'spend.held' : 'spend.done', is) : T.t('spend.notused'); }
    if (is) { return T.t('spend.chosen', is); }
    if (may) { return T.t('spend.upto', { points: T.points(s.max_points), value: T.money(s.max_value, r.currency) }); }
    return T.t('spend.cannot', { reason: T.whySpend(v.who, s, v.mode) });
  }

  /* T.pointsDesk joins the buttons for all, some and no points to choose(spend).
     It returns draw(view) and the hot keys of the buttons. */
  T.pointsDesk = function (choose) {
    var view = null, amount = byId('amount');

    function some() {
      var s = view && view.result && view.result.spend, n = T.typed(amount.value);
      if (!s) { return; }
      if (!n || T.isZero(n)) { T.put(byId('spendtext'), T.t('spend.type')); amount.focus(); return; }
      if (T.hundredths(n) > T.hundredths(s.max_points)) {
        T.put(byId('spendtext'), T.t('spend.toomuch', { points: T.points(s.max_points) }));
        amount.focus();
        amount.select();
        return;
      }
      choose(n);
    }

    byId('spendall').addEventListener('click', function () { choose('max'); });
    byId('spendnone').addEventListener('click', function () { amount.value = ''; choose(''); });
    byId('spendform').addEventListener('submit', function (e) { e.preventDefault(); some(); });

    return {
      draw: function (v) {
        var s = v.result && v.result.spend, may = !!s && v.free && v.state === 'open' && !T.isZero(s.max_points), using = !!s && !T.isZero(s.points);
        var pressed = { spendall: using && v.choice === 'max', spendsome: using && v.choice !== 'max', spendnone: !using }, id;
        view = v;
        T.put(byId('spendtext'), spendText(v, s, may, using));
        amount.disabled = !may;
        for (id in pressed) {
          if (pressed.hasOwnProperty(id)) {
            byId(id).disabled = !may;
            byId(id).setAttribute('aria-pressed', may && pressed[id] ? 'true' : 'false');
          }
        }
      },
      keys: {
        F4: T.press('spendall'),
        F6: function () {
          if (amount.disabled) { return; }
          if (document.activeElement === amount && amount.value) { some(); } else { amount.focus(); amount.select(); }
        },
        F7: T.press('spendnone')
      }
    };
  };
})();
