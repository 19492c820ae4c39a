/*
 * The call page: from the lobby through the camera into a room, and back.
 *
 * Phases: `lobby`, `asking` for the camera, `joining` the room, `in` it. The
 * connections live as long as the seat in the room, which outlives its
 * connection to the server.
 */

import { Camera, MEDIA } from './camera.js';
import { Devices } from './devices.js';
import { say } from './elements.js';
import { IceServers } from './ice.js';
import { Links } from './links.js';
import { Mesh } from './mesh.js';
import { previewOffer } from './peer.js';
import { Screen } from './screen.js';
import { recallSeat, Signaling } from './signaling.js';
import { nameOf, Talk, TEXT_LIMIT } from './talk.js';
import { Grid } from './tiles.js';
import { Whole } from './whole.js';

const OWN = 'you';
const REPORT_EVERY = 2000; // ms
const REMEMBERED = ['name', 'media', 'resolution', 'rate'];
// Each list of devices with the name that its choice is remembered by.
const DEVICES = { videoinput: 'facing', audioinput: 'microphone', audiooutput: 'speaker' };

const page = {};
document.querySelectorAll('[id]').forEach((element) => { page[element.id] = element; });

const query = new URLSearchParams(location.search);
const camera = new Camera({ ended: onDeviceEnded });
const shared = new Screen({ ended: onScreenEnded });
const sent = typeof MediaStream === 'function' ? new MediaStream() : null; // what peers get
const devices = new Devices(Object.fromEntries(Object.entries(DEVICES).map(([kind, id]) => [kind, page[id]])), {
  used: () => ({ videoinput: deviceOf('video'), audioinput: deviceOf('audio') }),
  changed: showDevices,
});
const ice = new IceServers('/ice');
const grid = new Grid(page.tiles);
const whole = new Whole(page.call, () => showOwn());
const talk = new Talk(page.log);
const links = new Links(page.links, { restart: (peer) => peer.restart(), offer: (peer) => showOffer(`Offer with ${nameOf(peer.participant)}`, peer.offerSdp) });

const signaling = new Signaling('/signal', {
  state: onConnection,
  countdown: (seconds) => say(page.countdown, `retry in ${seconds} s`),
  joined: onJoined,
  changed: onRosterChange,
  signal: (type, participant, body) => mesh.signal(type, participant, body),
  text: onText,
  fate: (ref, fate, ids) => talk.fate(ref, fate, ids),
  refused: onRefused,
  trouble: (message) => showTrouble(message),
});

const mesh = new Mesh({
  iceServers,
  send: (type, participant, body) => signaling.send(type, participant, body),
  change: showPeer,
  failed: () => signaling.check(),
  gone: ({ participant }) => {
    grid.remove(participant.id);
    showAll();
  },
  said: onText,
  acknowledged: (participant, number) => talk.acknowledged(participant, number),
  lost: (participant) => talk.lost(participant),
});

let phase = 'lobby';
let connection = { state: 'closed', trouble: '' };
let wanted = null; // {room, name, media}
let attempt = 0; // to join: a camera that answers to an earlier one comes late
let isMuted = false;

// -- Into the room and out of it ---------------------------------------------

async function join() {
  const room = readRoom();
  if (room === null) {
    page.room.setAttribute('aria-invalid', 'true');
    page.room.focus();
    showTrouble('A room has a number, from 0 up: digits only. Press Random for one that is free.');
    return;
  }
  page.room.removeAttribute('aria-invalid');
  hideTrouble();
  remember();
  wanted = { room, name: page.name.value.trim(), media: page.media.value };
  attempt += 1;
  const own = attempt;
  const media = MEDIA[wanted.media];
  if (!media.video) camera.close('video');
  if (!media.audio) camera.close('audio');
  setPhase('asking');
  try {
    // Calls begin only when the tracks to send are known.
    await camera.open(media, settings());
  } catch (error) {
    if (own === attempt) setPhase('lobby');
    if (own === attempt || phase !== 'lobby') showTrouble(error.message, { isAboutCamera: own === attempt });
    return;
  } finally {
    devices.refresh();
  }
  if (own === attempt) {
    enter();
  } else if (phase === 'lobby') {
    camera.close();
  } else {
    publish();
  }
}

/** Joins without the requested devices; if they open later, they are sent from then on. */
function joinWithout() {
  if (phase === 'lobby') page.media.value = 'watch';
  if (phase === 'lobby') {
    join();
    return;
  }
  attempt += 1;
  enter();
}

function enter() {
  setPhase('joining');
  iceServers();
  publish();
  signaling.join({ room: wanted.room, name: wanted.name, transport: page['transport-select'].value });
}

function leave() {
  attempt += 1;
  signaling.leave();
  toLobby();
}

function toLobby() {
  mesh.close();
  camera.close();
  shared.close();
  collect();
  grid.remove(OWN);
  whole.leave();
  page.listen.hidden = true;
  document.title = 'Call · Sockeye';
  setPhase('lobby');
}

function onJoined(seat, participants, { isReturn }) {
  const isAnew = phase === 'in' && !isReturn;
  mesh.meet(participants, { isReturn });
  if (phase !== 'in') {
    talk.clear();
    selectTab('chat');
    say(page['here-room'], String(seat.room));
    document.title = `Room ${seat.room} · Call · Sockeye`;
    query.set('room', seat.room);
    query.delete('name'); // the address is made to be passed on
    history.replaceState(null, '', `?${query}`);
    setPhase('in');
  }
  if (isAnew) talk.notice('You were cut off for too long and have joined anew.');
  showAll();
}

function onRosterChange(change, participant) {
  mesh.change(change, participant);
  const name = nameOf(participant);
  if (change === 'joined') talk.notice(`${name} has joined.`);
  if (change === 'left') talk.notice(`${name} has left.`);
  if (change === 'renewed') talk.notice(`${name} is back.`);
  showAll();
}

function onRefused(code, message) {
  toLobby();
  showTrouble(message);
}

function onConnection(state, trouble) {
  connection = { state, trouble };
  if (state === 'unavailable') {
    toLobby();
    showTrouble(trouble);
    return;
  }
  if (state === 'open') {
    hideTrouble();
  } else if (trouble && phase !== 'in') {
    showTrouble(trouble);
  }
  say(page.countdown, '');
  showState();
}

// -- Camera and microphone ---------------------------------------------------

function settings() {
  return {
    resolution: page.resolution.value,
    rate: Number(page.rate.value),
    camera: devices.choice('videoinput'),
    microphone: devices.choice('audioinput'),
  };
}

function deviceOf(kind) {
  return camera.track(kind)?.getSettings().deviceId;
}

/** Puts the tracks to send into their stream: a shared screen takes the camera's place. */
function collect() {
  const tracks = [camera.track('audio'), shared.track ?? camera.track('video')].filter(Boolean);
  for (const track of sent.getTracks()) if (!tracks.includes(track)) sent.removeTrack(track);
  for (const track of tracks) sent.addTrack(track);
}

/** Sends all peers the current tracks of microphone, and of screen or camera. */
function publish() {
  const microphone = camera.track('audio');
  if (microphone) microphone.enabled = !isMuted;
  collect();
  const status = {
    camera: sent.getVideoTracks().length > 0,
    microphone: microphone !== null && !isMuted,
    screen: shared.track !== null,
  };
  mesh.publish(sent, { wants: wanted?.media === 'chat' ? 'chat' : 'all', status });
  showAll();
}

async function toggle(button, change) {
  button.disabled = true;
  try {
    hideTrouble();
    await change();
  } catch (error) {
    showTrouble(error.message);
  } finally {
    button.disabled = false;
    publish();
    devices.refresh();
  }
}

async function toggleMicrophone() {
  if (camera.track('audio')) {
    isMuted = !isMuted;
    return;
  }
  await camera.open({ audio: true }, settings());
  isMuted = false;
}

async function toggleCamera() {
  if (camera.track('video')) {
    camera.close('video');
  } else {
    await camera.open({ video: true }, settings());
  }
}

async function toggleScreen() {
  if (shared.track) {
    shared.close();
    return;
  }
  await shared.open();
  // The user may have left while the browser asked.
  if (!isCalling()) shared.close();
}

async function changePicture() {
  remember();
  await camera.change(settings());
}

async function changeDevice(kind) {
  remember();
  await camera.exchange(kind, settings());
}

async function changeSpeaker() {
  remember();
  try {
    await Promise.all([...grid].map(({ video }) => playThrough(video)));
  } catch (error) {
    console.warn('sockeye: the speaker cannot be used:', error.name, error.message);
    throw new Error('That speaker can’t be used. Plug it in again or choose another one.');
  }
}

// An own choice of speaker; a browser plays through the system's by itself.
async function playThrough(video) {
  const speaker = devices.has('audiooutput') ? devices.choice('audiooutput') : '';
  if (!video.muted && video.setSinkId && video.sinkId !== speaker) await video.setSinkId(speaker);
}

function onDeviceEnded(kind) {
  showTrouble(`The ${kind === 'video' ? 'camera' : 'microphone'} has stopped: it was unplugged or taken away. `
    + 'Switch it on again when it is back, or choose another one in the settings.');
  publish();
  devices.refresh();
}

function onScreenEnded() {
  talk.notice('You no longer share your screen.');
  publish();
}

// -- Chat --------------------------------------------------------------------

function onText(participant, text) {
  talk.heard(participant, text);
  if (page['panel-chat'].hidden) page['tab-chat'].classList.add('news');
}

function sendText() {
  const text = page.message.value.trim().slice(0, TEXT_LIMIT);
  if (!text) return;
  page.message.value = '';
  talk.say(text, [...mesh], {
    direct: (peer, data) => peer.say(data),
    relayed: ({ participant }, data) => signaling.send('text', participant, { data }),
  });
}

// -- Display -----------------------------------------------------------------

function setPhase(next) {
  const focused = document.activeElement;
  // On a phone the form is below the pictures.
  if (phase === 'lobby' && next !== 'lobby') window.scrollTo(0, 0);
  phase = next;
  document.body.dataset.phase = next;
  const isIn = next === 'in';
  page.here.hidden = page.tabs.hidden = !isIn;
  page.preview.hidden = next !== 'lobby';
  page['skip-camera'].hidden = next !== 'asking';
  page.leave.hidden = next === 'lobby';
  page.media.disabled = page.join.disabled = next !== 'lobby';
  if (isIn) {
    page['panel-settings'].setAttribute('role', 'tabpanel');
    page['panel-settings'].setAttribute('aria-labelledby', 'tab-settings');
  } else {
    page['panel-settings'].removeAttribute('role');
    page['panel-settings'].setAttribute('aria-labelledby', 'settings-title');
    page['panel-settings'].hidden = false;
    page['panel-chat'].hidden = page['panel-links'].hidden = true;
  }
  showAll();
  // When the pressed control is gone, the focus moves to the next control.
  if (focused !== document.body && focused?.offsetParent === null) focusFirst();
}

function focusFirst() {
  const order = { lobby: [page.join], in: [page.mute, page.leave] }[phase] ?? [page.leave];
  order.find((control) => !control.hidden)?.focus({ preventScroll: true });
}

function showAll() {
  showState();
  showOwn();
  for (const peer of mesh) showPeer(peer);
  const others = mesh.size;
  say(page['here-count'], others === 0 ? 'no other participant' : `${others + 1} people`);
  page.alone.hidden = phase !== 'in' || others > 0;
  say(page.alone, page.alone.hidden ? '' : 'There is no other participant yet. Send the link to the people you want to talk to.');
  if (!page['panel-links'].hidden) links.update(mesh);
}

function showState() {
  const [state, text] = describeState();
  const looks = { lobby: 'idle', in: 'open', cut: connection.state === 'waiting' ? 'waiting' : 'connecting' };
  page.link.className = `link ${looks[state] ?? (connection.state === 'waiting' && phase === 'joining' ? 'waiting' : 'connecting')}`;
  page.state.dataset.state = state;
  say(page.state, text);
  const transport = state === 'in' ? signaling.transport : '';
  say(page.transport, transport);
  page.via.hidden = !transport;
  page.reconnect.hidden = connection.state !== 'waiting' || phase === 'lobby';
}

function describeState() {
  switch (phase) {
    case 'lobby': return ['lobby', 'Not in a room'];
    case 'asking': return ['asking', 'Waiting for camera and microphone…'];
    case 'joining': return ['joining', connection.state === 'waiting' ? 'Not connected' : 'Joining…'];
    default:
      if (signaling.isSeated) return ['in', 'Connected'];
      return ['cut', connection.state === 'waiting' ? 'Cut off from the server; the call goes on' : connection.trouble || 'Reconnecting…'];
  }
}

function showOwn() {
  const picture = camera.track('video');
  const sound = camera.track('audio');
  const hasMedia = isCalling() && wanted.media !== 'chat';
  if (picture || isCalling()) {
    const name = page.name.value.trim();
    const tile = grid.tile(OWN, { isOwn: true });
    tile.show({
      name: name ? `${name} (you)` : 'You',
      stream: sent,
      hasPicture: sent.getVideoTracks().length > 0,
      isMuted: isCalling() && (!sound || isMuted),
      isMirrored: !shared.track && picture?.getSettings().facingMode !== 'environment',
      screen: shared.track ? 'own' : 'no',
    });
  } else {
    grid.remove(OWN);
  }
  say(page.preview.querySelector('span'), picture ? 'Close the camera' : 'Try the camera');
  page.welcome.hidden = Boolean(picture || isCalling());
  page.mute.hidden = page.camera.hidden = !hasMedia;
  page.share.hidden = !hasMedia || !Screen.isPossible;
  page.whole.hidden = !isCalling() || !whole.isPossible;
  // Each says what pressing it does; its symbol shows what is the case.
  label(page.mute, sound ? (isMuted ? 'Unmute' : 'Mute') : 'Microphone on', `microphone${sound && !isMuted ? '' : '-off'}`, !sound || isMuted);
  label(page.camera, picture ? 'Camera off' : 'Camera on', `camera${picture ? '' : '-off'}`, !picture);
  label(page.share, shared.track ? 'Stop sharing' : 'Share screen', shared.track ? 'screen-off' : 'screen', shared.track !== null);
  label(page.whole, whole.isOn ? 'Leave full screen' : 'Full screen', whole.isOn ? 'whole-off' : 'whole', false);
  const { width, height, frameRate } = picture?.getSettings() ?? {};
  say(page.actual, width ? `The camera gives ${width} × ${height} at ${Math.round(frameRate)}/s.` : '');
}

function label(button, text, symbol, isMarked) {
  say(button.querySelector('span'), text);
  button.querySelector('use').setAttribute('href', `#icon-${symbol}`);
  button.classList.toggle('marked', isMarked);
}

function isCalling() {
  return phase === 'joining' || phase === 'in';
}

function showDevices() {
  page['speaker-row'].hidden = !devices.has('audiooutput') || !('setSinkId' in HTMLMediaElement.prototype);
  for (const { video } of grid) playThrough(video).catch(() => {}); // the system's speaker goes on
}

async function toggleWhole() {
  try {
    await (whole.isOn ? whole.leave() : whole.enter());
  } catch {
    showTrouble('The browser does not let this page fill the screen.');
  }
}

const NOTES = { new: 'Connecting…', connecting: 'Connecting…', disconnected: 'Interrupted…', failed: 'No path found. Trying again…' };

function showPeer(peer) {
  const { participant, stream, state, status } = peer;
  const tile = grid.tile(participant.id, { resized: () => showPeer(peer) });
  tile.show({
    name: nameOf(participant),
    stream,
    // Not `muted` of the track: Chromium leaves it true forever when an offer was taken back on the
    // way.
    hasPicture: tile.video.videoWidth > 0 && status.camera !== false,
    isMuted: status.microphone === false,
    screen: status.screen === true ? 'theirs' : 'no',
    note: peer.trouble || NOTES[state] || (participant.away ? 'Cut off from the server' : ''),
    state,
  });
  if (stream.getTracks().length === 0) return;
  playThrough(tile.video).catch(() => {});
  play(tile.video);
}

// Browsers play no sound before the user has pressed something.
async function play(video) {
  try {
    await video.play();
  } catch (error) {
    if (error.name === 'NotAllowedError') page.listen.hidden = false;
  }
}

function showTrouble(text, { isAboutCamera = false } = {}) {
  page.trouble.hidden = false;
  page.without.hidden = !isAboutCamera;
  page.dismiss.hidden = phase !== 'in';
  say(page.error, text);
  // On a phone the pressed control may be a screen further down.
  page.trouble.scrollIntoView({ block: 'nearest' });
}

function hideTrouble() {
  page.trouble.hidden = true;
  say(page.error, '');
}

async function iceServers() {
  const servers = await ice.get();
  say(page['ice-trouble'], ice.trouble);
  if (ice.needsToken) page['ice-row'].hidden = false;
  return servers;
}

function showOffer(title, sdp) {
  say(page['offer-title'], title);
  say(page['offer-sdp'], sdp || 'There has been no offer yet.');
  page.offer.showModal();
}

function selectTab(name) {
  for (const other of ['chat', 'links', 'settings']) {
    const isSelected = other === name;
    const tab = page[`tab-${other}`];
    tab.setAttribute('aria-selected', String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
    page[`panel-${other}`].hidden = !isSelected;
    if (isSelected) tab.classList.remove('news');
  }
  if (name === 'links') links.update(mesh);
}

function onTabKey(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...page.tabs.children];
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  next.click();
  next.focus();
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = before; }, 1500);
  } catch {
    window.prompt('Copy this:', text);
  }
}

// -- Remembered settings -----------------------------------------------------

function readRoom() {
  const text = page.room.value.trim();
  const room = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(room) ? room : null;
}

function remember() {
  try {
    for (const key of REMEMBERED) localStorage.setItem(`call-${key}`, page[key].value);
    for (const [kind, key] of Object.entries(DEVICES)) localStorage.setItem(`call-${key}`, devices.choice(kind));
  } catch { /* Without storage the form begins empty. */ }
}

function recall() {
  const stored = (key) => {
    try {
      return localStorage.getItem(`call-${key}`);
    } catch {
      return null;
    }
  };
  page.room.value = query.get('room') ?? '';
  for (const key of [...REMEMBERED, 'transport-select']) {
    const before = page[key].value;
    const value = query.get(key === 'transport-select' ? 'transport' : key) ?? stored(key);
    if (value !== null) page[key].value = value;
    // A choice that there isn't.
    if (page[key].value === '' && before !== '') page[key].value = before;
  }
  for (const [kind, key] of Object.entries(DEVICES)) {
    const value = query.get(key) ?? stored(key);
    if (value) devices.wish(kind, value);
  }
}

// -- Start -------------------------------------------------------------------

function listenToThePage() {
  page['join-form'].onsubmit = (event) => {
    event.preventDefault();
    if (phase === 'lobby') join();
  };
  page.random.onclick = async () => {
    try {
      const response = await fetch('/room/random', { headers: { Accept: 'application/json' } });
      page.room.value = (await response.json()).room;
    } catch {
      page.room.value = Math.floor(Math.random() * 1e6);
    }
  };
  page.preview.onclick = () => toggle(page.preview, toggleCamera);
  page.without.onclick = joinWithout;
  page['skip-camera'].onclick = joinWithout;
  page.leave.onclick = leave;
  page.mute.onclick = () => toggle(page.mute, toggleMicrophone);
  page.camera.onclick = () => toggle(page.camera, toggleCamera);
  page.share.onclick = () => toggle(page.share, toggleScreen);
  page.whole.onclick = toggleWhole;
  page.resolution.onchange = page.rate.onchange = ({ target }) => toggle(target, changePicture);
  page.facing.onchange = ({ target }) => toggle(target, () => changeDevice('video'));
  page.microphone.onchange = ({ target }) => toggle(target, () => changeDevice('audio'));
  page.speaker.onchange = ({ target }) => toggle(target, changeSpeaker);
  page['transport-select'].onchange = ({ target }) => signaling.use(target.value);
  page.reconnect.onclick = () => signaling.reconnect();
  page.dismiss.onclick = hideTrouble;
  page.listen.onclick = () => {
    page.listen.hidden = true;
    for (const { video } of grid) play(video);
  };
  page.copy.onclick = () => copy(`${location.origin}${location.pathname}?room=${wanted.room}`, page.copy);
  page['ice-token'].onchange = ({ target }) => {
    ice.token = target.value.trim();
    ice.forget();
    iceServers();
  };
  page['show-offer'].onclick = async () => showOffer('The offer of this browser', await previewOffer(sent, await iceServers()));
  page['offer-close'].onclick = () => page.offer.close();
  page['offer-copy'].onclick = () => copy(page['offer-sdp'].textContent, page['offer-copy']);
  page.composer.onsubmit = (event) => {
    event.preventDefault();
    sendText();
  };
  page.message.onkeydown = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    sendText();
  };
  page.tabs.onkeydown = onTabKey;
  for (const name of ['chat', 'links', 'settings']) page[`tab-${name}`].onclick = () => selectTab(name);

  // The network is another one: connections may not have noticed. The signaling sees to itself.
  window.addEventListener('online', () => {
    for (const peer of mesh) if (peer.state !== 'connected') peer.restart();
  });
  window.addEventListener('pagehide', ({ persisted }) => {
    if (persisted) {
      leave();
    } else {
      signaling.leaveAtOnce();
    }
  });
  setInterval(() => {
    if (phase === 'in' && !page['panel-links'].hidden) links.update(mesh);
  }, REPORT_EVERY);
}

if (typeof RTCPeerConnection === 'function') {
  recall();
  listenToThePage();
  setPhase('lobby');
  devices.refresh();
  // A call that was reloaded goes on.
  const wasReloaded = performance.getEntriesByType('navigation')[0]?.type === 'reload';
  if (wasReloaded && recallSeat(readRoom())) join();
} else {
  page.unsupported.hidden = false;
  page.join.disabled = true;
}
