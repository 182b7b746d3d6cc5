/* What both pages draw the same way: where this till is, its link and
   devices, the line that says how things stand, and the list of what the
   rules gave and why. Works on a state, now, that the page owns:

     now.link     '', up, down, denied: the way from this page to the agent
     now.status   the agent's last status
     now.mode     online, offline: the way from the agent to head office
     now.devices  by name
     now.warnings of the agent */
(function () {
  'use strict';

  var T = window.Tillside, byId = T.byId;

  T.newState = function () {
    return { link: '', status: null, mode: '', since: '', devices: {}, warnings: [] };
  };

  T.takeStatus = function (now, s) {
    var i, list = s.devices;
    now.status = s;
    if (typeof s.mode === 'string' && s.mode) { now.mode = s.mode; }
    if (s.link && s.link.mode) { now.mode = s.link.mode; now.since = s.link.since || ''; }
    if (list && list.length !== undefined) {
      now.devices = {};
      for (i = 0; i < list.length; i++) { now.devices[list[i].name] = list[i]; }
    }
    if (s.warnings) { now.warnings = s.warnings; }
    if (!T.langChosen && s.language && s.language !== T.lang) { T.setLang(s.language, false); }
  };

  /* T.takeState takes the events that say how things stand; true if it was one. */
  T.takeState = function (now, e) {
    if (e.type === 'link') { now.mode = e.mode || now.mode; now.since = e.since || e.at || ''; return true; }
    if (e.type === 'device' && e.device && e.device.name) { now.devices[e.device.name] = e.device; return true; }
    if (e.type === 'health') { now.warnings = e.warnings || []; return true; }
    if (e.type === 'status') { T.takeStatus(now, e.status || e); return true; }
    return false;
  };

  /* The drivers' words for a device that works, and for one that works but
     wants somebody to look soon. All others mean it does not work. */
  var good = ' ok drawer_open receipt_open receipt_closed ';
  var soon = ' unknown opening busy other_interface paper_near clock memory_near not_fiscal shift_closed ';

  T.deviceWord = function (d) {
    var state = d.state === 'ready' ? 'ok' : String(d.state || 'unknown'), key = 'device.state.' + state;
    return {
      ok: good.indexOf(' ' + state + ' ') >= 0,
      cls: good.indexOf(' ' + state + ' ') >= 0 ? 'ok' : soon.indexOf(' ' + state + ' ') >= 0 ? 'warn' : 'bad',
      text: T.has(key) ? T.t(key) : d.title || d.detail || state.replace(/_/g, ' ')
    };
  };

  T.deviceKind = function (d) { return T.has('device.' + d.kind) ? T.t('device.' + d.kind) : d.name; };

  function chip(list, kind, name, mark, text, title) {
    var li = T.el('li', kind);
    li.appendChild(T.el('b', '', name));
    li.appendChild(T.el('span', '', mark + ' ' + text));
    if (title) { li.title = title; }
    list.appendChild(li);
  }

  var order = 'reader printer fiscal display';

  function deviceNames(now) {
    var names = [], n;
    for (n in now.devices) { if (now.devices.hasOwnProperty(n)) { names.push(n); } }
    return names.sort(function (a, b) {
      var x = order.indexOf(now.devices[a].kind), y = order.indexOf(now.devices[b].kind);
      return x !== y ? x - y : a < b ? -1 : 1;
    });
  }

  function drawDevices(now) {
    var list = T.clear(byId('devices')), names = deviceNames(now), i, d, w, on = now.mode === 'online';
    if (now.link !== 'up') { return; }
    if (now.mode) {
      chip(list, on ? 'ok' : 'warn', T.t('link.name'), on ? '\u2713' : '!', T.t(on ? 'link.online' : 'link.offline'),
        T.when(now.since) ? T.t('since', { time: T.when(now.since) }) : '');
    }
    for (i = 0; i < names.length; i++) {
      d = now.devices[names[i]];
      w = T.deviceWord(d);
      chip(list, w.cls, T.deviceKind(d), w.ok ? '\u2713' : '!', w.text, d.name + (d.detail ? ': ' + d.detail : '') + (d.hint ? ' \u2013 ' + d.hint : ''));
    }
  }

  /* One sentence, the weightiest: a cause hides its effects. */
  function standing(now) {
    var names = deviceNames(now), broken = [], i, d;
    if (now.link === '') { return ['wait', T.t('strip.connecting')]; }
    if (now.link === 'down') { return ['bad', T.t('strip.noagent')]; }
    for (i = 0; i < names.length; i++) {
      d = now.devices[names[i]];
      if (T.deviceWord(d).cls === 'bad') { broken.push(T.t('strip.device', { device: T.deviceKind(d), state: T.deviceWord(d).text })); }
    }
    if (now.mode === 'offline') { return ['warn', T.t('strip.offline')]; }
    if (broken.length) { return ['warn', broken.join(' ')]; }
    if (now.warnings.length) { return ['warn', now.warnings[0].title || now.warnings[0].text || now.warnings[0].code]; }
    return ['', T.t('strip.ready')];
  }

  T.drawBoard = function (now) {
    var s = now.status, how = standing(now), denied = now.link === 'denied';
    T.put(byId('place'), s && (s.store || s.till) ? T.t('place', { store: s.store || '?', till: s.till || '?' }) : '');
    drawDevices(now);
    byId('strip').className = 'strip ' + how[0];
    T.put(byId('strip'), denied ? '' : how[1]);
    T.show(byId('strip'), !denied);
    T.show(byId('token'), denied);
    T.put(byId('tokenwhy'), T.t(T.token ? 'token.refused' : 'token.missing'));
  };

  /* T.keepPosted keeps now.link, now.status and the events coming. */
  T.keepPosted = function (now, take, draw) {
    function ask() {
      if (now.link !== 'up') { return; }
      T.call('GET', '/v1/status', null, function (err, s) {
        if (!err) { T.takeStatus(now, s); draw(); }
      });
    }
    T.listen({
      event: function (e) { take(e); },
      state: function (s) { now.link = s; if (s === 'up') { ask(); } draw(); }
    });
    window.setInterval(ask, 15000);
  };

  /* ---- results ---- */

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
})();
