/* What both pages draw the same way: where this till is, its link and
   devices, and the line that says how things stand. Works on a state, now, that the page owns:

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
})();
