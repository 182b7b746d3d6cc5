/* What both pages share: the token, calls to the agent, the event stream,
   words and numbers in three languages, and making elements.

   Written in the JavaScript of 2011, so that the browser of an old till runs
   it as it stands. Texts reach the page as text nodes only. */
(function () {
  'use strict';

  var T = window.Tillside = {};

  /* ---- elements ---- */

  T.byId = function (id) { return document.getElementById(id); };

  /* T.el('p', 'class', 'text') makes an element; the text is never markup. */
  T.el = function (name, cls, text) {
    var e = document.createElement(name);
    if (cls) { e.className = cls; }
    if (text !== undefined && text !== null) { e.appendChild(document.createTextNode(String(text))); }
    return e;
  };

  T.clear = function (e) {
    while (e.firstChild) { e.removeChild(e.firstChild); }
    return e;
  };

  /* T.put replaces the text of e only when it differs, so that a live region
     speaks once and the selection of a reader stays. */
  T.put = function (e, text) {
    text = text === undefined || text === null ? '' : String(text);
    if (e.textContent !== text) { e.textContent = text; }
    return e;
  };

  T.show = function (e, on) {
    if (e.hidden !== !on) { e.hidden = !on; }
    return e;
  };

  /* ---- words and numbers ---- */

  var words = window.TillsideWords || {};
  var langs = ['en', 'ru', 'pl'];

  function stored(store, key, value) {
    try {
      if (value === undefined) { return window[store].getItem(key); }
      if (value === null) { window[store].removeItem(key); } else { window[store].setItem(key, value); }
    } catch (e) { /* storage may be forbidden; the page works without it */ }
    return null;
  }

  function firstLang() {
    var wish = stored('localStorage', 'tillside.lang');
    if (wish && words[wish]) { return wish; }
    var list = navigator.languages && navigator.languages.length ? navigator.languages : [navigator.language || 'en'];
    for (var i = 0; i < list.length; i++) {
      var l = String(list[i]).slice(0, 2).toLowerCase();
      if (words[l]) { return l; }
    }
    return 'en';
  }

  T.lang = firstLang();
  T.langChosen = !!stored('localStorage', 'tillside.lang');
  var onLang = [];
  T.whenLanguage = function (f) { onLang.push(f); };

  T.setLang = function (lang, chosen) {
    if (!words[lang]) { return; }
    T.lang = lang;
    if (chosen) { T.langChosen = true; stored('localStorage', 'tillside.lang', lang); }
    T.translate(document.documentElement);
    for (var i = 0; i < onLang.length; i++) { onLang[i](); }
  };

  /* The plural category of a number written as a decimal string, after the
     rules of the Unicode CLDR. */
  T.plural = function (lang, decimal) {
    var s = String(decimal).replace('-', '').replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
    if (s.indexOf('.') >= 0) { return 'other'; }
    var n10 = +s.slice(-1), n100 = +s.slice(-2);
    if (lang === 'en') { return s === '1' ? 'one' : 'other'; }
    var few = n10 >= 2 && n10 <= 4 && (n100 < 12 || n100 > 14);
    if (lang === 'pl') { return s === '1' ? 'one' : few ? 'few' : 'many'; }
    return n10 === 1 && n100 !== 11 ? 'one' : few ? 'few' : 'many';
  };

  /* T.t('key', {blank: value}) is the text in the chosen language. A key with
     plural forms is chosen by the blank n. A missing key shows itself. */
  T.t = function (key, blanks) {
    var w = (words[T.lang] || {})[key];
    if (w === undefined) { w = (words.en || {})[key]; }
    if (w === undefined) { return key; }
    if (typeof w !== 'string') {
      w = w[T.plural(T.lang, blanks && blanks.n !== undefined ? blanks.n : '0')] || w.other;
      if (blanks && blanks.n !== undefined && blanks.number === undefined) { blanks.number = T.number(blanks.n); }
    }
    return w.replace(/\{(\w+)\}/g, function (all, name) {
      return blanks && blanks[name] !== undefined && blanks[name] !== null ? String(blanks[name]) : '';
    });
  };

  T.has = function (key) { return !!(words.en && words.en[key] !== undefined); };

  /* T.number writes a decimal string as people of the language do. It works
     on the digits and never makes a floating number of them. */
  T.number = function (decimal, keep) {
    var m = /^(-?)(\d+)(?:\.(\d*))?$/.exec(String(decimal));
    if (!m) { return String(decimal === undefined || decimal === null ? '' : decimal); }
    var frac = (m[3] || '').replace(/0+$/, '');
    while (frac.length < (keep || 0) || frac.length === 1) { frac += '0'; }
    var mark = T.lang === 'en' ? ',' : '\u00a0';
    var whole = m[2].replace(/^0+(?=\d)/, '');
    if (whole.length > 4 || T.lang === 'en') { whole = whole.replace(/\B(?=(\d{3})+$)/g, mark); }
    return (m[1] ? '\u2212' : '') + whole + (frac ? (T.lang === 'en' ? '.' : ',') + frac : '');
  };

  var signs = { EUR: '\u20ac', GBP: '\u00a3', USD: '$', PLN: 'z\u0142', RUB: '\u20bd', UAH: '\u20b4', KZT: '\u20b8' };

  T.money = function (decimal, currency) {
    var n = T.number(decimal, 2), sign = signs[currency] || currency || '';
    if (!sign) { return n; }
    if (T.lang === 'en' && sign.length === 1 && currency !== 'RUB') {
      return n.charAt(0) === '\u2212' ? '\u2212' + sign + n.slice(1) : sign + n;
    }
    return n + '\u00a0' + sign;
  };

  T.points = function (decimal) { return T.t('points', { n: decimal }); };

  T.isZero = function (decimal) { return !decimal || /^-?0*(\.0*)?$/.test(String(decimal)); };
  T.isMinus = function (decimal) { return String(decimal).charAt(0) === '-' && !T.isZero(decimal); };
  T.negate = function (decimal) {
    if (T.isZero(decimal)) { return String(decimal || '0'); }
    return String(decimal).charAt(0) === '-' ? String(decimal).slice(1) : '-' + decimal;
  };

  /* T.typed reads a number as a person types it ("1 250,5") into a decimal
     string, or gives '' when it is none. */
  T.typed = function (text) {
    var s = String(text).replace(/[\s\u00a0]/g, '').replace(',', '.');
    return /^\d{1,12}(\.\d{1,2})?$/.test(s) ? s : '';
  };

  function two(n) { return (n < 10 ? '0' : '') + n; }

  /* T.day writes "2026-11-30" (or a Date) as a day. */
  T.day = function (d) {
    var m = /^(\d{4})-(\d\d)-(\d\d)/.exec(String(d));
    var y, mo, da;
    if (d instanceof Date) { y = d.getFullYear(); mo = d.getMonth() + 1; da = d.getDate(); } else if (m) { y = +m[1]; mo = +m[2]; da = +m[3]; } else { return String(d || ''); }
    if (T.lang === 'en') { return da + ' ' + T.t('months').split(' ')[mo - 1] + ' ' + y; }
    return two(da) + '.' + two(mo) + '.' + y;
  };

  T.clock = function (d) { return two(d.getHours()) + ':' + two(d.getMinutes()); };

  /* T.when writes a time: the clock alone for today, else with the day. */
  T.when = function (iso) {
    if (!iso) { return ''; }
    var d = iso instanceof Date ? iso : new Date(iso);
    if (isNaN(d.getTime()) || d.getFullYear() < 2000) { return ''; }
    var now = new Date();
    return d.toDateString() === now.toDateString() ? T.clock(d) : T.day(d) + ' ' + T.clock(d);
  };

  /* T.translate fills data-t (text), data-t-label (aria-label) and
     data-t-hint (placeholder) under root. */
  T.translate = function (root) {
    document.documentElement.lang = T.lang;
    var e = root.querySelectorAll('[data-t]'), i;
    for (i = 0; i < e.length; i++) { T.put(e[i], T.t(e[i].getAttribute('data-t'))); }
    e = root.querySelectorAll('[data-t-label]');
    for (i = 0; i < e.length; i++) { e[i].setAttribute('aria-label', T.t(e[i].getAttribute('data-t-label'))); }
    e = root.querySelectorAll('[data-t-hint]');
    for (i = 0; i < e.length; i++) { e[i].setAttribute('placeholder', T.t(e[i].getAttribute('data-t-hint'))); }
    e = root.querySelectorAll('[data-lang]');
    for (i = 0; i < e.length; i++) { e[i].setAttribute('aria-pressed', e[i].getAttribute('data-lang') === T.lang ? 'true' : 'false'); }
    var title = document.documentElement.getAttribute('data-title');
    if (title) { document.title = T.t(title) + ' \u00b7 Tillside'; }
  };

  /* ---- the token ---- */

  /* It comes once in the fragment, which no server sees, and leaves the
     address bar at once. It lives in this tab only. */
  (function () {
    var m = /[#&]token=([^&]+)/.exec(location.hash);
    if (m) {
      try { T.token = decodeURIComponent(m[1]); } catch (e) { T.token = m[1]; }
      stored('sessionStorage', 'tillside.token', T.token);
      if (history.replaceState) { history.replaceState(null, '', location.pathname + location.search); } else { location.hash = ''; }
    } else {
      T.token = stored('sessionStorage', 'tillside.token') || '';
    }
    if (!/^[\x21-\x7e]+$/.test(T.token)) { T.token = ''; }
  })();

  T.forgetToken = function () { T.token = ''; stored('sessionStorage', 'tillside.token', null); };

  /* ---- calls ---- */

  T.key = function () {
    var b = new Uint8Array(16), s = '', i;
    (window.crypto || window.msCrypto).getRandomValues(b);
    for (i = 0; i < b.length; i++) { s += (b[i] < 16 ? '0' : '') + b[i].toString(16); }
    return s;
  };

  /* T.call(method, path, body, done, key): done(error, answer). The error has
     code, message, hint, status; code "unreachable" when no answer came. A
     write carries an Idempotency-Key; give the same key to ask again. */
  T.call = function (method, path, body, done, key) {
    var x = new XMLHttpRequest(), over = false;
    function end(err, data) { if (!over) { over = true; done(err, data, x); } }
    x.open(method, path, true);
    x.timeout = 10000;
    x.setRequestHeader('Authorization', 'Bearer ' + T.token);
    x.setRequestHeader('Accept-Language', T.lang);
    if (method !== 'GET') {
      x.setRequestHeader('Content-Type', 'application/json');
      x.setRequestHeader('Idempotency-Key', key || T.key());
    }
    x.onreadystatechange = function () {
      if (x.readyState !== 4) { return; }
      if (!x.status) { end({ code: 'unreachable', status: 0, message: T.t('error.unreachable') }); return; }
      var data = null;
      try { data = x.responseText ? JSON.parse(x.responseText) : {}; } catch (e) { data = null; }
      if (x.status >= 200 && x.status < 300 && data) { end(null, data); return; }
      var e = data && data.error || {};
      end({ code: e.code || 'http_' + x.status, status: x.status, hint: e.hint || '', field: e.field || '',
        message: e.message || T.t('error.http', { status: x.status }) });
    };
    x.ontimeout = x.onerror = function () { end({ code: 'unreachable', status: 0, message: T.t('error.unreachable') }); };
    x.send(body === undefined || body === null ? null : JSON.stringify(body));
    return x;
  };

  /* ---- the event stream ---- */

  /* T.listen(on) keeps one WebSocket to the agent open for as long as the page
     lives. on.event(e) gets each event; on.state('up'|'down'|'denied') tells
     how it stands. It tries again after 0.3 s, then ever more slowly up to
     5 s, with a spread so that many pages do not come back at once. */
  T.listen = function (on) {
    var wait = 300, state = '', socket;
    function tell(s) { if (s !== state) { state = s; on.state(s); } }
    function again() {
      window.setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, 5000);
    }
    function open() {
      if (!T.token) { tell('denied'); return; }
      try {
        socket = new WebSocket('ws://' + location.host + '/v1/events', ['tillside.v1', 'bearer.' + T.token]);
      } catch (e) { tell('down'); again(); return; }
      var was = false;
      socket.onopen = function () { was = true; wait = 300; tell('up'); };
      socket.onmessage = function (m) {
        var e;
        try { e = JSON.parse(m.data); } catch (x) { return; }
        if (e && e.type) { on.event(e); }
      };
      socket.onclose = function () {
        if (was) { tell('down'); again(); return; }
        /* Refused or nobody there? A plain call tells the two apart. */
        T.call('GET', '/v1/status', null, function (err) {
          if (err && (err.status === 401 || err.status === 403)) { tell('denied'); return; }
          tell('down');
          again();
        });
      };
    }
    open();
  };

  /* ---- keys ---- */

  /* T.keys({F2: f, Escape: g}) binds hot keys; a key with a modifier is left
     to the browser. Buttons show theirs in a <kbd>. */
  T.keys = function (map) {
    document.addEventListener('keydown', function (e) {
      if (e.altKey || e.ctrlKey || e.metaKey) { return; }
      var k = e.key === 'Esc' ? 'Escape' : e.key;
      if (!k && e.keyCode >= 112 && e.keyCode <= 123) { k = 'F' + (e.keyCode - 111); }
      if (!map.hasOwnProperty(k)) { return; }
      e.preventDefault();
      if (!e.repeat) { map[k](e); }
    });
  };

  T.press = function (id) {
    return function () {
      var b = T.byId(id);
      if (b && !b.disabled && b.offsetParent !== null) { b.focus(); b.click(); }
    };
  };

  /* ---- starting a page ---- */

  T.start = function () {
    var b = document.querySelectorAll('[data-lang]');
    function choose() { T.setLang(this.getAttribute('data-lang'), true); }
    for (var i = 0; i < b.length; i++) { b[i].addEventListener('click', choose); }
    T.setLang(T.lang, false);
    document.documentElement.className += ' ready';
  };
})();
