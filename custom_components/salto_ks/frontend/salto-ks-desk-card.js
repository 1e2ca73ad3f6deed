/**
 * The card of the front desk: issues keys for doors, shows their PINs, changes and takes them back.
 *
 * Everything goes over the WebSocket of the user who is logged in. A PIN is in this element while it
 * is shown and nowhere else: not in states, events, addresses, storage or the console.
 *
 * @typedef {{entity_id: string, name: string}} Door
 * @typedef {{config_entry_id: string, title: string, active: boolean, doors: Door[]}} Site
 * @typedef {{key_id: string, booking_id: ?string, label: ?string, doors: string[], starts_at: string,
 *   ends_at: string, status: string, errors: string[], warnings: string[], proven: boolean,
 *   pin_kept: boolean}} Key
 * @typedef {{type: string, title?: string, config_entry_id?: string, hours?: number}} Config
 */

const CARD = "salto-ks-desk-card";
const REFRESH_MS = 30_000;
const PIN_SHOWN_SECONDS = 60;
const DONE_SHOWN_MS = 60_000;
const MINUTE_MS = 60_000;
const DEFAULT_START_STEP_MS = 5 * MINUTE_MS;
const DEFAULT_END_OF_DAY = "11:00";
const LATEST_INPUT = "9999-12-31T23:59";
const SEARCH_FROM_KEYS = 6;

/** The options that the editor offers; names are those of the configuration. */
const OPTIONS = [
  { name: "title", selector: { text: {} } },
  { name: "config_entry_id", selector: { config_entry: { integration: "salto_ks" } } },
  { name: "hours", selector: { number: { min: 1, step: "any", mode: "box" } } },
];

/** What Home Assistant's connection rejects a call with when it breaks. */
const CONNECTION_LOST = 3;

const STATUSES = new Map([
  ["scheduled", "waiting"],
  ["setting", "waiting"],
  ["set", "good"],
  ["changing", "waiting"],
  ["suspended", "warning"],
  ["removing", "waiting"],
  ["revoked", "ended"],
  ["failed", "bad"],
  ["unknown", "warning"],
]);
const ENDING = new Set(["removing", "revoked", "failed"]);

const STYLE = `
  :host { display: block; }
  [hidden] { display: none !important; }
  .card { padding: 16px; color: var(--primary-text-color); overflow-wrap: anywhere; container-type: inline-size; }
  h2, h3, p, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
  h2 { font-size: 1.4rem; font-weight: 400; line-height: 1.3; }
  h3 { font-size: 1rem; font-weight: 600; line-height: 1.4; }
  ul { list-style: none; }
  .head { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between; }
  .head + .message:not(:empty) { margin-top: 12px; }
  .parts { display: grid; gap: 28px 32px; margin-top: 16px; }
  .stack { display: grid; gap: 10px; align-content: start; grid-template-columns: minmax(0, 1fr); }
  .times { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(260px, 100%), 1fr)); }
  .note, .caption { color: var(--secondary-text-color); font-size: 0.875rem; line-height: 1.4; }
  .caption { display: block; margin-bottom: 4px; padding: 0; }
  input + .note, label + .note { margin-top: 4px; }
  .message { padding: 8px 12px; line-height: 1.4; border-left: 4px solid var(--divider-color); }
  :is(.message, .slot):empty { position: absolute; padding: 0; border: 0; }
  .message.warning { border-color: var(--warning-color); }
  .message.error { border-color: var(--error-color); }
  input, select, button { font: inherit; color: inherit; box-sizing: border-box; min-height: 44px; }
  input:not([type="checkbox"]), select {
    display: block; width: 100%; min-width: 0; padding: 8px 12px; font-size: 16px;
    color: var(--primary-text-color); background: var(--card-background-color);
    border: 1px solid var(--secondary-text-color); border-radius: 8px;
  }
  .head select { width: auto; max-width: 100%; }
  button {
    padding: 8px 14px; font-weight: 500; cursor: pointer; background: none;
    border: 1px solid var(--secondary-text-color); border-radius: 22px;
  }
  button:hover { border-color: var(--primary-color); }
  button.primary {
    color: var(--text-primary-color, #fff); background: var(--primary-color); border-color: var(--primary-color);
  }
  button.danger { border: 2px solid var(--error-color); }
  button:disabled, button[aria-disabled="true"] { opacity: 0.5; cursor: default; }
  :is(input, select, button):focus-visible, .chip:focus-within {
    outline: 2px solid var(--primary-color); outline-offset: 2px;
  }
  .chip input:focus-visible { outline: none; }
  .doors { display: flex; flex-wrap: wrap; gap: 8px; max-height: 260px; overflow-y: auto; padding: 4px; margin: -4px; }
  .chip {
    display: flex; align-items: center; gap: 8px; min-height: 42px; padding: 0 14px 0 10px; cursor: pointer;
    border: 1px solid var(--divider-color); border-radius: 22px; max-width: 100%; box-sizing: border-box;
  }
  .chip:has(:checked) { border-color: var(--primary-color); box-shadow: inset 0 0 0 1px var(--primary-color); }
  .chip input {
    flex: none; width: 18px; height: 18px; min-height: 18px; margin: 0; accent-color: var(--primary-color);
  }
  .actions { display: flex; flex-wrap: wrap; gap: 8px; }
  .progress { height: 4px; overflow: hidden; border-radius: 2px; background: var(--divider-color); }
  .progress::after {
    content: ""; display: block; width: 40%; height: 100%; background: var(--primary-color);
    animation: pass 1.6s ease-in-out infinite;
  }
  .busy { display: grid; gap: 8px; }
  .pin {
    display: grid; gap: 8px; padding: 16px; border: 2px solid var(--primary-color); border-radius: 12px;
    grid-template-columns: minmax(0, 1fr);
  }
  .digits {
    display: flex; gap: 0.45em; letter-spacing: 0.08em;
    font: 600 clamp(2.4rem, 13cqi, 3.6rem)/1.1 ui-monospace, "Roboto Mono", monospace;
  }
  .spoken {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
    white-space: nowrap; user-select: none;
  }
  .left {
    height: 3px; background: var(--primary-color); transform-origin: left;
    animation: run-out ${PIN_SHOWN_SECONDS}s linear forwards;
  }
  .left:dir(rtl) { transform-origin: right; }
  .keys > li {
    display: grid; gap: 10px; padding: 16px 0; border-top: 1px solid var(--divider-color);
    grid-template-columns: minmax(0, 1fr);
  }
  .keys > li:last-child { padding-bottom: 0; }
  .facts { display: grid; gap: 2px; line-height: 1.4; }
  .key-head { display: flex; flex-wrap: wrap; gap: 4px 12px; justify-content: space-between; align-items: baseline; }
  .name { font-weight: 600; }
  .status { display: inline-flex; gap: 6px; align-items: center; font-size: 0.875rem; }
  .status::before { content: ""; width: 10px; height: 10px; border-radius: 50%; background: var(--divider-color); }
  .status.waiting::before { background: var(--primary-color); }
  .status.good::before { background: var(--success-color, #43a047); }
  .status.warning::before { background: var(--warning-color); }
  .status.bad::before { background: var(--error-color); }
  [aria-busy="true"] > .slot > .panel { opacity: 0.5; }
  .panel { padding: 12px; line-height: 1.4; border: 1px solid var(--divider-color); border-radius: 12px; }
  @container (min-width: 720px) { .parts { grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); } }
  @keyframes pass { from { transform: translateX(-100%); } to { transform: translateX(250%); } }
  @keyframes run-out { to { transform: scaleX(0); } }
  @media (prefers-reduced-motion: reduce) {
    .progress::after { animation: none; width: 100%; }
    .left { animation-timing-function: steps(6, end); }
  }
`;

/**
 * Make an element. Texts become text nodes and values attributes, so that no data is ever markup.
 * @param {string} tag
 * @param {Object<string, string|number|boolean|undefined>} attributes true sets it empty, false leaves it out
 * @param {...(Node|string)} children
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Make a button that does something; one that is `aria-disabled` keeps the focus and does nothing. */
function makeButton(text, className, act) {
  const button = make("button", { type: "button", class: className }, text);
  button.addEventListener("click", () => {
    if (!isOff(button)) act();
  });
  return button;
}

function isOff(button) {
  return button.getAttribute("aria-disabled") === "true";
}

function switchOff(button, off) {
  button.setAttribute("aria-disabled", String(off));
}

/** Make a labelled input, and return both. */
function makeField(caption, attributes) {
  const input = make("input", { autocomplete: "off", ...attributes });
  const field = make("label", {}, make("span", { class: "caption" }, caption), input);
  return { field, input };
}

function makeTimeField(caption, value) {
  const made = makeField(caption, { type: "datetime-local", required: true, max: LATEST_INPUT });
  made.input.value = value;
  return made;
}

/** Make what is seen while a call runs; it is hidden at first. */
function makeBusy(text) {
  return make(
    "div",
    { class: "busy", role: "status", hidden: true },
    make("div", { class: "progress" }),
    make("p", { class: "note" }, text),
  );
}

/** Put a message into its place; an empty one takes no room. */
function say(place, text, tone = "error") {
  place.className = `message ${tone}`;
  place.textContent = text;
}

/** Say what was done, until it is old news. */
function sayDone(place, text) {
  say(place, text, "done");
  setTimeout(() => {
    if (place.textContent === text) say(place, "");
  }, DONE_SHOWN_MS);
}

/** Call a command of the front desk, in the language of the user. */
function callDesk(hass, command, data) {
  return hass.callWS({ type: `salto_ks/desk/${command}`, language: hass.language, ...data });
}

/** Write text only where it differs, so that nothing is announced or selected anew. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Times as `datetime-local` inputs hold them (`YYYY-MM-DDTHH:MM`), on the wall clock of Home Assistant,
 * and spans of time as people read them.
 */
class Times {
  #zone;
  #language;
  #clock;
  #fields;

  constructor(hass) {
    this.#zone = hass.config.time_zone;
    this.#language = hass.locale?.language ?? hass.language;
    this.#clock = Times.#clockOf(hass.locale?.time_format);
    this.#fields = new Intl.DateTimeFormat("en", {
      calendar: "gregory", numberingSystem: "latn", hourCycle: "h23", timeZone: this.#zone,
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    });
  }

  /** Home Assistant's zone, if it is not the one of this device. */
  get foreignZone() {
    const here = new Intl.DateTimeFormat().resolvedOptions().timeZone;
    return here === this.#zone ? "" : this.#zone;
  }

  /** Write an instant for an input. */
  toInput(instant) {
    const parts = this.#fields.formatToParts(new Date(instant));
    const field = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
    const year = field.year.padStart(4, "0");
    return `${year}-${field.month}-${field.day}T${field.hour}:${field.minute}`;
  }

  /** Return the start that is offered: now, rounded down to five minutes. */
  defaultStart() {
    return this.toInput(Math.floor(Date.now() / DEFAULT_START_STEP_MS) * DEFAULT_START_STEP_MS);
  }

  /** Return the end that is offered: some hours later, or the next day at eleven. */
  defaultEnd(start, hours) {
    if (hours) return Times.#later(start, hours * 60);
    return `${Times.#later(start, 24 * 60).slice(0, 10)}T${DEFAULT_END_OF_DAY}`;
  }

  /** Say from when until when, of two instants. */
  span(startsAt, endsAt) {
    return this.#format(new Date(startsAt), new Date(endsAt), this.#zone);
  }

  /** Say from when until when, of two inputs. */
  spanOfInputs(starts, ends) {
    return this.#format(new Date(`${starts}Z`), new Date(`${ends}Z`), "UTC");
  }

  #format(start, end, timeZone) {
    const thisYear = new Date().getFullYear();
    const near = [start, end].every((time) => time.getFullYear() === thisYear);
    const format = new Intl.DateTimeFormat(this.#language, {
      ...this.#clock, timeZone, year: near ? undefined : "numeric",
      weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit",
    });
    return format.formatRange(start, end);
  }

  static #later(input, minutes) {
    return new Date(Date.parse(`${input}Z`) + minutes * MINUTE_MS).toISOString().slice(0, 16);
  }

  /** Follow the user's choice of a clock of 12 or 24 hours. */
  static #clockOf(timeFormat) {
    if (timeFormat === "12") return { hour12: true };
    if (timeFormat === "24") return { hourCycle: "h23" };
    if (timeFormat !== "system") return {};
    const { hourCycle } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
    return { hourCycle };
  }
}

/** What the parts of one card share: the connection, the words, the chosen site, and who sees a PIN. */
class Desk {
  hass;
  /** @type {Times} */
  times;
  /** @type {?Site} */
  site = null;
  /** Default length of a key, in hours. */
  hours;
  /** Whether a key is being issued; it outlives the form, so that nothing is sent twice. */
  issuing = false;
  #words = {};
  #wordsLanguage;
  /** @type {?PinBox} */
  #showing = null;
  #absences = 0;
  #card;

  /** @param {{isInSight: () => boolean, redraw: () => void, reread: () => void}} card */
  constructor(card) {
    this.#card = card;
  }

  /** The doors of the chosen site. */
  get doors() {
    return this.site?.doors ?? [];
  }

  get hasWords() {
    return this.#wordsLanguage !== undefined;
  }

  get connected() {
    return this.hass.connected !== false;
  }

  /** Fetch the words of the user's language; tell whether they are others than before. */
  async fetchWords() {
    const language = this.hass.language;
    if (language === this.#wordsLanguage) return false;
    const { words } = await this.call("words", { language });
    this.#words = words;
    this.#wordsLanguage = language;
    return true;
  }

  /** Return a text, with its placeholders filled in. */
  text(key, values = {}) {
    const text = this.#words[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  }

  /** Return the text for a name that the backend may invent, such as that of a warning. */
  textOf(kind, name) {
    const key = `${kind}_${name}`;
    return key in this.#words ? this.text(key) : this.text(`${kind}_other`, { name });
  }

  call(command, data) {
    return callDesk(this.hass, command, data);
  }

  /** Call a command of the chosen site. */
  callSite(command, data) {
    return this.call(command, { config_entry_id: this.site.config_entry_id, ...data });
  }

  /** Say why a call failed; after one that writes, a lost connection leaves open what became of it. */
  why(failure, { writes = false } = {}) {
    if (!this.hasWords) return failure?.message ?? "";
    const code = failure?.error?.code ?? failure?.code ?? failure;
    if (code === CONNECTION_LOST) return this.text(writes ? "outcome_unknown" : "connection_lost");
    if (code === "unauthorized") return this.text("no_right");
    return failure?.message || this.text("failed_without_reason");
  }

  /** Name doors for people. */
  namesOf(doors) {
    const names = doors.map((entityId) => this.#nameOf(entityId));
    return new Intl.ListFormat(this.hass.language, { type: "unit", style: "short" }).format(names);
  }

  #nameOf(entityId) {
    const door = this.doors.find((each) => each.entity_id === entityId);
    return door?.name ?? this.hass.states?.[entityId]?.attributes.friendly_name ?? entityId;
  }

  /** Return a function that tells whether the card has been in sight all the time since now. */
  watch() {
    const before = this.#absences;
    return () => before === this.#absences && this.#card.isInSight();
  }

  /** Let one box show a PIN, and hide the one before. */
  showOnly(box) {
    if (this.#showing !== box) this.#showing?.hide();
    this.#showing = box;
  }

  /** Hide the PIN, and show none that is still on its way. */
  leave() {
    this.#absences += 1;
    this.showOnly(null);
  }

  /** Show that a key is being issued. */
  redraw() {
    this.#card.redraw();
  }

  /** Read everything anew after something was done. */
  reread() {
    this.#card.reread();
  }
}

/** The place where a PIN is shown for a while. */
class PinBox {
  element = make("div", { class: "slot", "aria-live": "polite" });
  #desk;
  #opener;
  #timer;

  /**
   * @param {Desk} desk
   * @param {HTMLElement} opener gets the focus back from the box
   */
  constructor(desk, opener) {
    this.#desk = desk;
    this.#opener = opener;
  }

  get isShowing() {
    return this.element.hasChildNodes();
  }

  /**
   * Show a PIN until it is hidden, by hand or by time.
   * @param {string} pin
   * @param {string[]} facts which doors it opens, and when
   * @param {string} note what else to know of it, if anything
   */
  show(pin, facts, note) {
    const desk = this.#desk;
    this.#clear();
    desk.showOnly(this);
    const seconds = PIN_SHOWN_SECONDS;
    this.element.append(
      make(
        "div",
        { class: "pin" },
        make("span", { class: "caption" }, desk.text("pin")),
        PinBox.#digits(pin),
        ...[desk.text("pin_end"), ...facts].map((text) => make("p", {}, text)),
        ...[note, desk.text("pin_hides", { seconds })].filter(Boolean).map((text) => make("p", { class: "note" }, text)),
        make("div", { class: "left", "aria-hidden": "true" }),
        make("div", { class: "actions" }, makeButton(desk.text("hide"), "", () => this.hide())),
      ),
    );
    this.#timer = setTimeout(() => this.hide(), seconds * 1000);
    this.element.scrollIntoView?.({ block: "nearest" });
  }

  /** Forget the PIN. */
  hide() {
    const hadFocus = this.element.matches(":focus-within");
    this.#clear();
    if (hadFocus) this.#opener.focus({ preventScroll: true });
  }

  #clear() {
    clearTimeout(this.#timer);
    this.element.replaceChildren();
  }

  /** Group the digits for reading, and have them read out one by one. */
  static #digits(pin) {
    const groups = pin.match(pin.length % 3 === 1 ? /.{1,2}/g : /.{1,3}/g) ?? [];
    const seen = groups.map((group) => make("span", {}, group));
    return make(
      "p",
      {},
      make("span", { class: "spoken" }, [...pin].join(" ")),
      make("span", { class: "digits", "aria-hidden": "true", dir: "ltr" }, ...seen),
    );
  }
}

/** The form that issues a key. */
class IssueForm {
  element;
  #desk;
  #doors = make("div", { class: "doors" });
  #drawnDoors;
  #from;
  #until;
  #touched = new Set();
  #label;
  #button = make("button", { type: "submit", class: "primary" });
  #busy;
  #message = make("p", { role: "alert", class: "message" });
  #pin;

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    const from = makeTimeField(desk.text("from"), "");
    const until = makeTimeField(desk.text("until"), "");
    const label = makeField(desk.text("label"), { type: "text", maxlength: 100, "aria-describedby": "label-note" });
    [this.#from, this.#until, this.#label] = [from.input, until.input, label.input];
    this.#busy = makeBusy(desk.text("issuing_note"));
    this.#pin = new PinBox(desk, this.#button);
    this.element = make(
      "form",
      { class: "stack", novalidate: true, autocomplete: "off" },
      make("h3", {}, desk.text("new_key")),
      make("fieldset", {}, make("legend", { class: "caption" }, desk.text("doors")), this.#doors),
      make("div", { class: "times" }, from.field, until.field),
      ...this.#zoneNote(),
      make("div", {}, label.field, make("p", { class: "note", id: "label-note" }, desk.text("label_note"))),
      make("div", { class: "actions" }, this.#button),
      this.#busy,
      this.#message,
      this.#pin.element,
    );
    this.#listen();
    this.update();
  }

  /** Follow the site, the connection, the clock and the progress; what was typed stays. */
  update() {
    const { site, doors, issuing, connected } = this.#desk;
    this.#drawDoors(doors);
    this.#offerTimes();
    this.#busy.hidden = !issuing;
    write(this.#button, this.#desk.text(issuing ? "issuing" : "issue"));
    switchOff(this.#button, issuing || !connected || !site?.active || !doors.length);
  }

  #listen() {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!isOff(this.#button)) this.#issue();
    });
    for (const input of [this.#from, this.#until]) {
      input.addEventListener("input", () => {
        this.#touched.add(input);
        this.#offerTimes();
      });
    }
  }

  #zoneNote() {
    const zone = this.#desk.times.foreignZone;
    return zone ? [make("p", { class: "note" }, this.#desk.text("zone_note", { zone }))] : [];
  }

  #drawDoors(doors) {
    const drawn = JSON.stringify([this.#desk.site?.config_entry_id, doors]);
    if (drawn === this.#drawnDoors) return;
    const chosen = new Set(this.#chosenDoors());
    this.#drawnDoors = drawn;
    const chips = doors.map(({ entity_id: value, name }) => {
      const box = make("input", { type: "checkbox", value, checked: doors.length === 1 || chosen.has(value) });
      return make("label", { class: "chip" }, box, make("span", {}, name));
    });
    this.#doors.replaceChildren(...(chips.length ? chips : [make("p", {}, this.#desk.text("no_doors"))]));
  }

  #chosenDoors() {
    return [...this.#doors.querySelectorAll("input:checked")].map((box) => box.value);
  }

  /** Keep the offered times fresh, as long as nobody has entered others or is about to. */
  #offerTimes() {
    const { times, hours } = this.#desk;
    if (this.#isOffered(this.#from)) this.#from.value = times.defaultStart();
    const start = this.#from.value;
    if (start && this.#isOffered(this.#until)) this.#until.value = times.defaultEnd(start, hours);
  }

  #isOffered(input) {
    return !this.#touched.has(input) && !input.matches(":focus");
  }

  /** Return the name of the text that says what is missing, if anything is. */
  #findMistake({ doors, starts_at: start, ends_at: end }) {
    if (!doors.length) return "check_doors";
    if (!start || !end) return "check_times";
    return findWrongEnd(this.#desk, start, end);
  }

  async #issue() {
    const desk = this.#desk;
    const label = this.#label.value.trim();
    const wish = {
      doors: this.#chosenDoors(),
      starts_at: this.#from.value,
      ends_at: this.#until.value,
      ...(label && { label }),
    };
    const mistake = this.#findMistake(wish);
    say(this.#message, mistake && desk.text(mistake));
    if (mistake) return;
    desk.showOnly(null);
    desk.issuing = true;
    desk.redraw();
    const wasInSight = desk.watch();
    try {
      const issued = await desk.callSite("issue", wish);
      this.#clear();
      this.#present(issued, wish, wasInSight());
    } catch (failure) {
      say(this.#message, desk.why(failure, { writes: true }));
    } finally {
      desk.issuing = false;
      desk.reread();
    }
  }

  #present(issued, wish, inSight) {
    const desk = this.#desk;
    if (!issued.pin) {
      say(this.#message, desk.text("issued_without_pin"), "warning");
    } else if (!inSight) {
      say(this.#message, desk.text("issued_unseen"), "warning");
    } else {
      const facts = [desk.namesOf(wish.doors), desk.times.spanOfInputs(wish.starts_at, wish.ends_at)];
      this.#pin.show(issued.pin, facts, issued.pin_kept === false ? desk.text("pin_once") : "");
    }
  }

  /** Make ready for the next guest. */
  #clear() {
    this.#label.value = "";
    this.#touched.clear();
    this.#drawnDoors = undefined;
    this.#doors.replaceChildren();
  }
}

/** Return the name of the text that says why a window cannot end like this, or nothing. */
function findWrongEnd(desk, start, end) {
  if (end <= start) return "check_order";
  return end <= desk.times.toInput(Date.now()) ? "check_over" : "";
}

/** One live key in the list, with what can be done to it. */
class KeyRow {
  element;
  #desk;
  /** @type {Key} */
  #key;
  #drawn;
  #busy = false;
  #gone = false;
  #name = make("span", { class: "name" });
  #status = make("span", { class: "status" });
  #doors = make("p");
  #window = make("p");
  #details = make("p", { class: "note" });
  #problems = make("div", { class: "stack" });
  #notKept;
  #buttons;
  #progress;
  #message = make("p", { role: "alert", class: "message" });
  #panel = make("div", { class: "slot" });
  #pin;
  #announce;

  /**
   * @param {Desk} desk
   * @param {Key} key
   * @param {(text: string) => void} announce says beside the list what became of the row
   */
  constructor(desk, key, announce) {
    this.#desk = desk;
    this.#announce = announce;
    this.#notKept = make("p", { class: "note" }, desk.text("pin_not_kept"));
    this.#buttons = {
      show: makeButton(desk.text("show_pin"), "", () => this.#showPin()),
      change: makeButton(desk.text("change_end"), "", () => this.#openChange()),
      takeBack: makeButton(desk.text("take_back"), "", () => this.#openTakeBack()),
    };
    this.#progress = makeBusy(desk.text("working"));
    this.#pin = new PinBox(desk, this.#buttons.show);
    const head = make("div", { class: "key-head" }, this.#name, this.#status);
    this.element = make(
      "li",
      {},
      make("div", { class: "facts" }, head, this.#doors, this.#window, this.#details),
      this.#problems,
      this.#notKept,
      make("div", { class: "actions" }, ...Object.values(this.#buttons)),
      this.#progress,
      this.#message,
      this.#panel,
      this.#pin.element,
    );
    this.update(key);
  }

  /** Follow what the list says of the key; an open panel and a shown PIN stay. */
  update(key) {
    const drawn = JSON.stringify([key, this.#desk.doors]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#key = key;
    this.#drawTexts();
    this.#drawButtons();
  }

  /** Forget the PIN of a key that has left the list. */
  remove() {
    this.#gone = true;
    this.#pin.hide();
    this.element.remove();
  }

  /** Tell whether the key is what somebody looks for. */
  matches(search) {
    const { label, booking_id: booking, key_id: id, doors } = this.#key;
    return [label, booking, id, this.#desk.namesOf(doors)].some((text) => text?.toLowerCase().includes(search));
  }

  get #nameText() {
    const { label, booking_id, key_id } = this.#key;
    if (label) return label;
    return booking_id ? this.#desk.text("booking", { booking_id }) : this.#desk.text("unnamed_key", { key_id });
  }

  #drawTexts() {
    const desk = this.#desk;
    const key = this.#key;
    write(this.#name, this.#nameText);
    write(this.#status, desk.textOf("status", key.status));
    this.#status.className = `status ${STATUSES.get(key.status) ?? "warning"}`;
    write(this.#doors, desk.namesOf(key.doors));
    write(this.#window, desk.times.span(key.starts_at, key.ends_at));
    const details = [
      key.label && key.booking_id && desk.text("booking", { booking_id: key.booking_id }),
      key.proven && desk.text("proven"),
    ].filter(Boolean);
    this.#details.replaceChildren(...details.map((text) => make("div", {}, text)));
    this.#details.hidden = !details.length;
    this.#problems.replaceChildren(
      ...key.errors.map((name) => make("p", { class: "message error" }, desk.textOf("error", name))),
      ...key.warnings.map((name) => make("p", { class: "message warning" }, desk.textOf("warning", name))),
    );
    this.#problems.hidden = !this.#problems.hasChildNodes();
  }

  #drawButtons() {
    const ending = ENDING.has(this.#key.status);
    this.#notKept.hidden = ending || this.#key.pin_kept || this.#key.status === "setting";
    for (const button of Object.values(this.#buttons)) {
      button.hidden = ending;
      switchOff(button, this.#busy);
    }
    this.#buttons.show.disabled = !this.#key.pin_kept;
    this.#progress.hidden = !this.#busy;
    this.element.setAttribute("aria-busy", String(this.#busy));
  }

  /**
   * Run a call for this key, one at a time. Returns the answer, or nothing if it failed.
   * @param {{writes: boolean}} kind
   */
  async #run(command, data, kind) {
    const desk = this.#desk;
    if (this.#busy) return undefined;
    this.#setBusy(true);
    say(this.#message, "");
    try {
      return await desk.callSite(command, { key_id: this.#key.key_id, ...data });
    } catch (failure) {
      say(this.#message, desk.why(failure, kind));
      return undefined;
    } finally {
      this.#setBusy(false);
      if (kind.writes) desk.reread();
    }
  }

  #setBusy(busy) {
    this.#busy = busy;
    this.#drawButtons();
  }

  async #showPin() {
    if (this.#pin.isShowing) return;
    const desk = this.#desk;
    const wasInSight = desk.watch();
    const answer = await this.#run("show_pin", {}, { writes: false });
    if (!answer || this.#gone) return;
    if (!wasInSight()) {
      say(this.#message, desk.text("pin_unseen"), "warning");
      return;
    }
    const { doors, starts_at: start, ends_at: end } = this.#key;
    this.#pin.show(answer.pin, [desk.namesOf(doors), desk.times.span(start, end)], desk.text("pin_recorded"));
  }

  #openChange() {
    const desk = this.#desk;
    const before = desk.times.toInput(this.#key.ends_at);
    const { field, input } = makeTimeField(desk.text("new_end"), before);
    const save = async () => {
      const mistake = input.value ? this.#findWrongEnd(input.value) : "check_times";
      say(this.#message, mistake && desk.text(mistake));
      if (mistake) return;
      if (input.value === before) this.#closePanel(this.#buttons.change);
      else await this.#change(input.value);
    };
    this.#openPanel(this.#buttons.change, [field], makeButton(desk.text("save"), "primary", save), desk.text("cancel"));
  }

  #findWrongEnd(end) {
    return findWrongEnd(this.#desk, this.#desk.times.toInput(this.#key.starts_at), end);
  }

  async #change(end) {
    const answer = await this.#run("change", { ends_at: end }, { writes: true });
    if (!answer) return;
    this.update(answer.key);
    this.#closePanel(this.#buttons.change);
    sayDone(this.#message, this.#desk.text("end_changed"));
  }

  #openTakeBack() {
    const desk = this.#desk;
    const name = this.#nameText;
    const question = make("p", {}, desk.text("take_back_question", { name }));
    const { field, input } = makeField(desk.text("reason"), { type: "text", maxlength: 200 });
    const confirm = async () => {
      const reason = input.value.trim();
      const answer = await this.#run("revoke", reason ? { reason } : {}, { writes: true });
      if (!answer) return;
      this.#pin.hide();
      this.#closePanel(this.#buttons.takeBack);
      this.#announce(desk.text("taken_back", { name }));
      this.update(answer.key);
    };
    const button = makeButton(desk.text("take_back"), "danger", confirm);
    this.#openPanel(this.#buttons.takeBack, [question, field], button, desk.text("keep"));
  }

  /** Open the one panel of the row, with a button that does it and one that does not. */
  #openPanel(opener, contents, doIt, leaveText) {
    const leave = makeButton(leaveText, "", () => this.#closePanel(opener));
    const panel = make(
      "div",
      { class: "panel stack", role: "group", "aria-label": opener.textContent },
      ...contents,
      make("div", { class: "actions" }, doIt, leave),
    );
    panel.addEventListener("keydown", (event) => {
      const leaves = event.key === "Escape";
      if (!leaves && !(event.key === "Enter" && event.target.matches("input"))) return;
      event.preventDefault(); // or the button that gets the focus is pressed by the same stroke
      (leaves ? leave : doIt).click();
    });
    say(this.#message, "");
    this.#panel.replaceChildren(panel);
    panel.querySelector("input").focus();
  }

  #closePanel(opener) {
    const hadFocus = this.#panel.matches(":focus-within");
    this.#panel.replaceChildren();
    say(this.#message, "");
    if (hadFocus) opener.focus({ preventScroll: true });
  }
}

/** The list of live keys. */
class KeyList {
  element;
  #desk;
  /** @type {Map<string, KeyRow>} */
  #rows = new Map();
  #search;
  #searchField;
  #message = make("p", { role: "alert", class: "message" });
  #done = make("p", { role: "status", class: "message", tabindex: -1 });
  #empty = make("p", { class: "note", hidden: true });
  #list = make("ul", { class: "keys" });

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    const { field, input } = makeField(desk.text("search"), { type: "search" });
    [this.#searchField, this.#search] = [field, input];
    this.#searchField.hidden = true;
    this.#search.addEventListener("input", () => this.#filter());
    this.element = make(
      "section",
      { class: "stack" },
      make("div", {}, make("h3", {}, desk.text("live_keys")), make("p", { class: "note" }, desk.text("show_pin_note"))),
      this.#searchField,
      this.#message,
      this.#done,
      this.#empty,
      this.#list,
    );
  }

  /** Follow the keys of the site, newest first; rows that stay are not touched where they did not change. */
  update(keys) {
    say(this.#message, "");
    this.#removeOthers(new Set(keys.map((key) => key.key_id)));
    let place = this.#list.firstChild;
    for (const key of keys) {
      const { element } = this.#put(key);
      if (element === place) place = place.nextSibling;
      else this.#list.insertBefore(element, place);
    }
    this.#filter();
  }

  /** Say why the list could not be read; the rows stay as they were. */
  fail(text) {
    say(this.#message, text);
  }

  /** Forget the keys of another site. */
  clear() {
    this.#removeOthers(new Set());
    this.#search.value = "";
    this.#empty.hidden = true;
    say(this.#done, "");
    say(this.#message, "");
  }

  #put(key) {
    const row = this.#rows.get(key.key_id);
    if (row) {
      row.update(key);
      return row;
    }
    const made = new KeyRow(this.#desk, key, (text) => this.#announce(text));
    this.#rows.set(key.key_id, made);
    return made;
  }

  /** Say what became of a row, and take the focus from its buttons, which go. */
  #announce(text) {
    sayDone(this.#done, text);
    if (this.#list.matches(":focus-within")) this.#done.focus({ preventScroll: true });
  }

  #removeOthers(keyIds) {
    for (const [keyId, row] of this.#rows) {
      if (keyIds.has(keyId)) continue;
      row.remove();
      this.#rows.delete(keyId);
    }
  }

  #filter() {
    const search = this.#search.value.trim().toLowerCase();
    this.#searchField.hidden = !search && this.#rows.size < SEARCH_FROM_KEYS;
    let matching = 0;
    for (const row of this.#rows.values()) {
      const matches = row.matches(search);
      row.element.hidden = !matches;
      if (matches) matching += 1;
    }
    this.#empty.hidden = matching > 0;
    write(this.#empty, this.#desk.text(search ? "no_matches" : "no_keys"));
  }
}

/**
 * The card itself: it reads sites and keys while somebody sees it, and hands them to its parts.
 * @element salto-ks-desk-card
 */
class SaltoKsDeskCard extends HTMLElement {
  /** @type {?Config} */
  #config = null;
  #desk = new Desk({
    isInSight: () => this.#isInSight,
    redraw: () => this.#draw(),
    reread: () => this.#reread(),
  });
  /** @type {?Site[]} */
  #sites = null;
  /** Why nothing could be read the last time. */
  #trouble = "";
  #chosenSite;
  #turn = 0;
  #timer;
  #title = make("h2");
  #picker = make("select", { hidden: true });
  #banner = make("p", { role: "alert", class: "message" });
  #body = make("div", { class: "parts", hidden: true });
  /** @type {?IssueForm} */
  #form = null;
  /** @type {?KeyList} */
  #list = null;

  constructor() {
    super();
    const head = make("div", { class: "head" }, this.#title, this.#picker);
    const card = make("div", { class: "card" }, head, this.#banner, this.#body);
    this.attachShadow({ mode: "open" }).append(make("style", {}, STYLE), make("ha-card", {}, card));
    this.#picker.addEventListener("change", () => this.#chooseSite(this.#picker.value));
  }

  /** Return a configuration for the card picker. */
  static getStubConfig() {
    return {};
  }

  /** Return the form of the editor, with its words. No card is drawn yet whose connection it could use. */
  static async getConfigForm() {
    const { words } = await callDesk(document.querySelector("home-assistant").hass, "words");
    return {
      schema: OPTIONS,
      computeLabel: ({ name }) => words[`option_${name}`],
      computeHelper: ({ name }) => words[`option_${name}_note`],
    };
  }

  /**
   * Take the configuration of the dashboard.
   * @param {Config} config
   */
  setConfig(config) {
    const { title, config_entry_id: entryId, hours } = config;
    if (title !== undefined && typeof title !== "string") throw new Error("title is a text");
    if (entryId !== undefined && typeof entryId !== "string") throw new Error("config_entry_id is a text");
    if (hours !== undefined && !(Number.isFinite(hours) && hours > 0)) throw new Error("hours is a number above 0");
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    this.#config = config;
    this.#desk.hours = hours;
    this.#takeDown();
    this.#reread();
  }

  /** Follow Home Assistant; called at each change of any state, so it does as little as it can. */
  set hass(hass) {
    const before = this.#desk.hass;
    this.#desk.hass = hass;
    const colorScheme = hass.themes?.darkMode ? "dark" : "light";
    if (this.style.colorScheme !== colorScheme) this.style.colorScheme = colorScheme;
    if (before && isSpokenAlike(before, hass)) {
      if (before.connected !== hass.connected) this.#reread();
      return;
    }
    this.#desk.times = new Times(hass);
    this.#takeDown();
    this.#reread();
  }

  /** Return the height in units of 50 pixels, for dashboards in columns. */
  getCardSize() {
    return 12;
  }

  /** Return the room that the card wants in a dashboard of sections. */
  getGridOptions() {
    return { columns: 12, min_columns: 6, rows: "auto" };
  }

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#reread();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#rest();
  }

  get #isInSight() {
    return this.isConnected && document.visibilityState === "visible";
  }

  #onVisibility = () => {
    if (this.#isInSight) this.#reread();
    else this.#rest();
  };

  /** Hide the PIN and read nothing more until the card is seen again. */
  #rest() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#desk.leave();
  }

  /** Read everything anew, and again after a while; only the latest reading counts. */
  async #reread() {
    clearTimeout(this.#timer);
    this.#turn += 1;
    const turn = this.#turn;
    this.#draw();
    if (!this.#config || !this.#desk.hass || !this.#desk.connected || !this.#isInSight) return;
    const isLatest = () => turn === this.#turn;
    try {
      await this.#read(isLatest);
    } catch (failure) {
      if (isLatest()) this.#fail(failure);
    }
    if (isLatest()) this.#timer = setTimeout(() => this.#reread(), REFRESH_MS);
  }

  async #read(isLatest) {
    const desk = this.#desk;
    if (await desk.fetchWords()) this.#takeDown();
    const { sites } = await desk.call("sites");
    if (!isLatest()) return;
    this.#sites = sites;
    this.#trouble = "";
    this.#pickSite();
    this.#draw();
    if (!desk.site) return;
    try {
      const { keys } = await desk.callSite("keys");
      if (isLatest()) this.#list.update(keys);
    } catch (failure) {
      if (isLatest()) this.#list.fail(desk.why(failure));
    }
  }

  /** Take the site of the configuration, else the one that was chosen, else the first. */
  #pickSite() {
    const wanted = this.#config.config_entry_id ?? this.#chosenSite;
    const found = this.#sites.find((site) => site.config_entry_id === wanted);
    const site = found ?? (this.#config.config_entry_id ? null : this.#sites[0]) ?? null;
    if (site?.config_entry_id !== this.#desk.site?.config_entry_id) {
      this.#desk.leave();
      this.#list?.clear();
    }
    this.#desk.site = site;
  }

  #chooseSite(entryId) {
    this.#chosenSite = entryId;
    this.#pickSite();
    this.#reread();
  }

  /** Show what is known; what was typed, opened or focused stays as it is. */
  #draw() {
    const desk = this.#desk;
    if (!this.#config || !desk.hasWords) return;
    const title = this.#config.title ?? desk.text("title");
    write(this.#title, title);
    this.#title.hidden = !title;
    this.#drawPicker();
    const { text, tone } = this.#notice();
    if (this.#banner.textContent !== text) say(this.#banner, text, tone); // an alert is read out at each write
    this.#body.hidden = !desk.site;
    if (!desk.site) return;
    if (!this.#form) this.#setUp();
    this.#form.update();
  }

  #drawPicker() {
    const sites = this.#sites ?? [];
    this.#picker.hidden = this.#config.config_entry_id !== undefined || sites.length < 2;
    this.#picker.disabled = this.#desk.issuing;
    this.#picker.setAttribute("aria-label", this.#desk.text("site"));
    const drawn = [...this.#picker.options].map(({ value, text }) => [value, text]);
    const wanted = sites.map((site) => [site.config_entry_id, site.title]);
    if (JSON.stringify(drawn) !== JSON.stringify(wanted)) {
      this.#picker.replaceChildren(...wanted.map(([value, title]) => make("option", { value }, title)));
    }
    this.#picker.value = this.#desk.site?.config_entry_id ?? "";
  }

  /** Return what stands above everything: why nothing, or no key, can be issued. */
  #notice() {
    const desk = this.#desk;
    if (!desk.connected) return { text: desk.text("connection_lost"), tone: "error" };
    if (this.#trouble) return { text: this.#trouble, tone: "error" };
    if (!this.#sites) return { text: "", tone: "" };
    if (!desk.site && this.#config.config_entry_id) return { text: desk.text("site_missing"), tone: "warning" };
    if (!desk.site) return { text: desk.text("no_sites"), tone: "warning" };
    if (!desk.site.active) return { text: desk.text("site_inactive"), tone: "warning" };
    return { text: "", tone: "" };
  }

  /** Say why nothing could be read; a user without the right sees nothing else. */
  #fail(failure) {
    this.#trouble = this.#desk.why(failure);
    if (failure?.code === "unauthorized") {
      this.#sites = null;
      this.#desk.site = null;
      this.#takeDown();
    }
    if (this.#desk.hasWords) this.#draw();
    else say(this.#banner, this.#trouble);
  }

  #setUp() {
    this.#form = new IssueForm(this.#desk);
    this.#list = new KeyList(this.#desk);
    this.#body.replaceChildren(this.#form.element, this.#list.element);
  }

  /** Remove the parts, so that they are made anew with other words, times or defaults. */
  #takeDown() {
    this.#desk.leave();
    this.#form = null;
    this.#list = null;
    this.#body.replaceChildren();
  }
}

/** Tell whether texts and times read the same for two states of Home Assistant. */
function isSpokenAlike(before, now) {
  return (
    before.language === now.language &&
    before.config.time_zone === now.config.time_zone &&
    before.locale?.language === now.locale?.language &&
    before.locale?.time_format === now.locale?.time_format
  );
}

/** Define the element, unless the page knows it. */
function define() {
  if (!customElements.get(CARD)) customElements.define(CARD, SaltoKsDeskCard);
}

define();
// The frontend exchanges the registry while it starts, and one that it has thrown away is of no use:
// https://github.com/home-assistant/frontend/issues/53890
customElements.whenDefined("home-assistant").then(define);

window.customCards = window.customCards ?? [];
if (!window.customCards.some((card) => card.type === CARD)) {
  window.customCards.push({
    type: CARD,
    name: "Salto KS front desk",
    description: "Issue keys for doors, show their PINs, and take them back.",
    preview: false,
  });
}
