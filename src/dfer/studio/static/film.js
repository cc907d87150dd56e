// A film with boxes and a band of emotions for each person; while it is read, what is known grows.
import {ask, attempt, count, fill, find, h, percent} from "./page.js";

const id = find("#film").dataset.id, api = `/api/v1/films/${id}`;
const player = find("#player"), boxes = find("#boxes"), tip = h("div", {class: "tip", role: "tooltip", hidden: true});
let film, people = [], emotions = [], shades = {}, lasts = 0, done = false;
document.body.append(tip);

const clock = (seconds) => seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${shades[name] ?? "e2"}`).trim();

/** Black or white, whichever is read better on a colour such as #bf8b00. */
function inkOn(shade) {
  const [red, green, blue] = [1, 3, 5].map((place) => (parseInt(shade.slice(place, place + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}

/** The last row at or before a time, -1 where there is none. */
function rowAt(person, seconds) {
  let low = 0, high = person.times_s.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (person.times_s[middle] <= seconds + 1e-3) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Emotions with their shares in a row, the most probable one first. */
const ranked = (probs) => emotions.map((name, place) => [name, probs[place]]).sort((a, b) => b[1] - a[1]);

/** What a row with a face says: the most probable emotion, or why none is named. */
function inWords(person, row) {
  const [first, second] = ranked(person.probs[row]), doubt = person.doubt?.[row];
  return doubt === "mixed" && second ? `mixed: ${first[0]}/${second[0]}` : doubt || first[0];
}

// --- bands

function draw(person) {
  const canvas = person.canvas, ratio = devicePixelRatio || 1;
  const [wide, high] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, wide, high);
  if (!lasts) return;
  const order = [...emotions.keys()].sort((a, b) => (emotions[a] !== "neutral") - (emotions[b] !== "neutral"));
  const shadesOf = order.map((place) => colour(emotions[place]));
  const step = Math.max(1, Math.floor(person.times_s.length / (2 * wide)));
  for (let row = 0; row < person.times_s.length; row += step) {
    const probs = person.probs[row];
    if (!probs) continue;
    const next = person.times_s[Math.min(row + step, person.times_s.length - 1)];
    const left = person.times_s[row] / lasts * wide;
    const right = (row + step < person.times_s.length ? next : Math.max(next, done ? lasts : next + 0.04)) / lasts * wide;
    let floor = high;
    order.forEach((place, number) => {
      const size = probs[place] * high;
      pen.fillStyle = shadesOf[number];
      pen.fillRect(left, floor - size, Math.max(1, right - left + 0.6), size + 0.5);
      floor -= size;
    });
  }
}

function hover(event, person) {
  const box = person.canvas.getBoundingClientRect();
  const seconds = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * lasts;
  showTip(person, seconds, event.clientX, event.clientY);
}

function showTip(person, seconds, x, y) {
  const row = rowAt(person, seconds), probs = row >= 0 ? person.probs[row] : null;
  const shown = probs ? ranked(probs).filter(([, share]) => share >= 0.02) : [];
  const scores = [["people would disagree", person.mixed?.[row]], ["the picture does not tell", person.cannot_tell?.[row]]];
  fill(tip, h("b", {}, `${clock(seconds)}: ${probs ? inWords(person, row) : "not seen"}`),
    ...shown.map(([name, share]) => h("div", {class: shades[name]}, h("span", {}, name), h("i", {"--share": `${100 * share}%`}), h("span", {}, percent(share)))),
    ...scores.filter(([, score]) => Number.isFinite(score)).map(([name, score]) => h("p", {}, h("span", {}, name), h("span", {}, percent(score)))),
    probs && person.flaws?.[row] ? h("span", {}, `the face is ${person.flaws[row].replaceAll(" ", ", ")}`) : null);
  tip.hidden = false;
  tip.style.setProperty("--x", `${Math.min(x + 14, innerWidth - tip.offsetWidth - 8)}px`);
  tip.style.setProperty("--y", `${Math.min(y + 14, innerHeight - tip.offsetHeight - 8)}px`);
}

const go = (seconds) => { player.currentTime = Math.max(0, Math.min(seconds, lasts)); };

function band(person) {
  person.canvas = h("canvas", {role: "img", "aria-label": `emotions of ${label(person)} over time, as stacked bands`});
  person.now = h("div", {class: "now", "--at": "0%"});
  return h("div", {class: "band", tabindex: "0", role: "slider", "aria-label": `time, ${label(person)}`, "aria-valuemin": "0", "aria-valuemax": lasts.toFixed(1), "aria-valuenow": "0",
    onpointermove: (event) => hover(event, person), onpointerleave: () => { tip.hidden = true; },
    onclick: (event) => { const box = person.canvas.getBoundingClientRect(); go((event.clientX - box.left) / box.width * lasts); },
    onkeydown: (event) => {
      const steps = {ArrowLeft: -0.2, ArrowRight: 0.2, PageUp: -2, PageDown: 2};
      if (event.key in steps) { event.preventDefault(); go(player.currentTime + steps[event.key]); }
    }}, person.canvas, ...(person.stretches ?? []).map(hatching), person.now);
}

/** A stretch of a band in which no emotion is named. */
const hatching = ({start_s, end_s, says}) => h("div", {class: `doubt ${says === "cannot tell" ? "cannot-tell" : "mixed"}`,
  "--left": `${100 * start_s / lasts}%`, "--width": `${100 * (end_s - start_s) / lasts}%`});

const label = (person) => person.name || `person ${person.id}`;

// --- people

function show() {
  fill(find("#legend"), ...emotions.map((name) => h("li", {}, h("span", {class: `swatch ${shades[name]}`}), name)));
  find("#hatched").hidden = !people.some((person) => person.stretches?.length);
  fill(find("#people"), ...people.map((person) => h("div", {class: "person", "data-person": person.id},
    h("div", {class: "head"}, h("h2", {}, label(person)), ...(done ? tools(person) : [])),
    band(person), done ? marks(person) : null)));
  people.forEach(draw);
  say();
  move();
}

function tools(person) {
  const others = people.filter((other) => other !== person);
  return [
    h("input", {class: "name", placeholder: "name", value: person.name ?? "", maxlength: 200, "aria-label": `name of ${label(person)}`, onchange: (event) => correct({kind: "name", person: person.id, name: event.target.value})}),
    others.length ? h("select", {"aria-label": `${label(person)} is the same person as`, onchange: (event) => event.target.value !== "" && correct({kind: "merge", people: [person.id, Number(event.target.value)]})},
      h("option", {value: ""}, "same person as …"), ...others.map((other) => h("option", {value: other.id}, label(other)))) : null,
    h("button", {type: "button", class: "plain", title: "From the time that is shown on it is somebody else", onclick: () => correct({kind: "split", person: person.id, at_s: player.currentTime})}, "somebody else from here"),
  ].filter(Boolean);
}

function marks(person) {
  const choose = (value, change, doubt) => {
    const select = h("select", {"aria-label": "emotion", onchange: change}, ...emotions.map((name) => h("option", {}, name)), h("option", {value: ""}, "none"));
    select.value = value;
    if (doubt) select.prepend(h("option", {disabled: true, selected: true}, doubt));
    return select;
  };
  const time = (value, what) => h("input", {type: "number", step: "0.1", min: "0", max: String(lasts), value: value.toFixed(2), "aria-label": what});
  const rows = person.segments.slice(0, 200).map((segment) => h("tr", {},
    h("th", {scope: "row"}, h("button", {class: "plain", type: "button", onclick: () => go(segment.apex_s)}, `${clock(segment.start_s)} – ${clock(segment.end_s)}`)),
    h("td", {class: "text"}, choose(segment.emotion, (event) => correct({kind: "mark", person: person.id, start_s: segment.start_s, end_s: segment.end_s, emotion: event.target.value}), segment.doubt)),
    h("td", {}, segment.doubt ? "" : percent(segment.score))));
  const start = time(0, "from, seconds"), end = time(Math.min(1, lasts), "to, seconds"), emotion = choose(emotions[0], () => {});
  return h("details", {class: "marks", open: person.open ?? false, ontoggle: (event) => { person.open = event.target.open; }},
    h("summary", {}, `${count(person.segments.length, "segment")}: look, correct`),
    h("div", {class: "scroll"}, h("table", {class: "numbers"}, h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "from – to"), h("th", {scope: "col", class: "text"}, "emotion"), h("th", {scope: "col"}, "at its peak"))),
      h("tbody", {}, ...rows, h("tr", {}, h("td", {class: "text"}, start, " – ", end), h("td", {class: "text"}, emotion),
        h("td", {}, h("button", {type: "button", onclick: () => correct({kind: "mark", person: person.id, start_s: Number(start.value), end_s: Number(end.value), emotion: emotion.value})}, "Mark")))))));
}

async function correct(json) {
  const open = people.filter((person) => person.open).map((person) => person.id);
  await attempt(async () => { await ask(`${api}/corrections`, {method: "POST", json}); await load(open); });
}

// --- the film

function fit() {
  const ratio = devicePixelRatio || 1;
  boxes.width = boxes.clientWidth * ratio;
  boxes.height = boxes.clientHeight * ratio;
}

function move() {
  const seconds = player.currentTime, pen = boxes.getContext("2d"), ratio = devicePixelRatio || 1;
  pen.clearRect(0, 0, boxes.width, boxes.height);
  const [wide, high] = film?.size ?? [0, 0];  // boxes are in the film's own pixels, also where a small copy is played
  const scale = wide && player.videoWidth ? Math.min(boxes.width / wide, boxes.height / high) : 0;
  const left = (boxes.width - wide * scale) / 2, top = (boxes.height - high * scale) / 2;
  for (const person of people) {
    person.now?.style.setProperty("--at", `${lasts ? Math.min(100, 100 * seconds / lasts) : 0}%`);
    person.now?.parentElement.setAttribute("aria-valuenow", seconds.toFixed(1));
    const row = rowAt(person, seconds), box = row >= 0 ? person.boxes[row] : null;
    if (!box || !scale) continue;
    const probs = person.probs[row], best = emotions[probs.indexOf(Math.max(...probs))];
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = colour(best);
    pen.strokeRect(left + box[0] * scale, top + box[1] * scale, box[2] * scale, box[3] * scale);
    const text = `${label(person)}: ${inWords(person, row)}`;
    pen.font = `600 ${13 * ratio}px system-ui, sans-serif`;
    const tall = 20 * ratio, y = Math.max(0, top + box[1] * scale - tall);
    pen.fillStyle = colour(best);
    pen.fillRect(left + box[0] * scale - ratio, y, pen.measureText(text).width + 12 * ratio, tall);
    pen.fillStyle = inkOn(colour(best));
    pen.fillText(text, left + box[0] * scale + 5 * ratio, y + 14.5 * ratio);
  }
}

function say() {
  if (done) {
    const seen = people.filter((person) => person.overall);
    const parts = seen.slice(0, 3).map((person) => {
      const [[name, share]] = ranked(person.overall);
      return `${people.length > 1 ? `${label(person)} ` : ""}${person.overall_doubt?.says ?? `mostly ${name} (${percent(share)})`}`;
    });
    find("#said").textContent = seen.length ? `${count(people.length, "person", "people")}: ${parts.join(", ")}.` : "No face was found in this film.";
  } else if (film.state === "failed") find("#said").textContent = film.error;
  else find("#said").textContent = {waiting: "This film waits for its turn.", cancelled: "This film was not read to its end.", reading: `Reading: ${clock(film.read_s)}${film.length_s ? ` of ${clock(film.length_s)}` : ""}.`}[film.state] ?? "";
}

const ROWS = {probs: "probs", boxes: "box", mixed: "mixed", cannot_tell: "cannot_tell", doubt: "doubt"};
/** Add a row to a person: what is said of the face, or nothing where it is not seen. */
function append(person, time_s, face = {}) {
  person.times_s.push(time_s);
  for (const [rows, key] of Object.entries(ROWS)) person[rows].push(face[key] ?? null);
}

/** While the film is read: rows as they come. */
function grow(moments) {
  for (const moment of moments) {
    for (const [fresh, old] of Object.entries(moment.renamed)) {
      const one = people.find((person) => person.id === Number(fresh)), other = people.find((person) => person.id === old);
      if (one && !other) one.id = old;
      else if (one) {
        for (const rows of ["times_s", ...Object.keys(ROWS)]) other[rows].push(...one[rows]);
        people.splice(people.indexOf(one), 1);
      }
    }
    for (const face of moment.faces) {
      let person = people.find((each) => each.id === face.id);
      if (!person) { person = {id: face.id, segments: [], times_s: [], ...Object.fromEntries(Object.keys(ROWS).map((rows) => [rows, []]))}; people.push(person); people.sort((a, b) => a.id - b.id); person.fresh = true; }
      append(person, moment.time_s, face);
    }
    for (const person of people) {
      if (!moment.faces.some((face) => face.id === person.id) && person.probs.at(-1)) append(person, moment.time_s);
    }
    film.read_s = moment.time_s;
    lasts = Math.max(film.length_s, moment.time_s);
  }
  if (people.some((person) => person.fresh) || people.some((person) => !person.canvas)) { people.forEach((person) => { person.fresh = false; }); show(); }
  else { people.forEach(draw); say(); }
}

async function listen() {
  const source = new EventSource(`${api}/events`);
  source.addEventListener("moment", (event) => grow(JSON.parse(event.data)));
  source.addEventListener("state", (event) => {
    film = {...film, ...JSON.parse(event.data)};
    if (!done) ({emotions, shades} = film);
    say();
    if (!["waiting", "reading"].includes(film.state)) source.close();
    if (film.state === "done") attempt(load);
  });
}

async function load(open = []) {
  const found = await ask(`${api}/timeline`);
  ({people, emotions, shades} = found);
  lasts = found.duration_s;
  film.size = found.size;
  done = true;
  people.forEach((person) => { person.open = Array.isArray(open) && open.includes(person.id); });
  find("#tools").hidden = false;
  find("#undo").disabled = !found.corrections;
  if (!player.src) player.src = `${api}/video`;
  show();
  links();
  await offerCut();
}

function links() {
  const rest = find("#original").checked ? "?corrected=false" : "";
  fill(find("#downloads"), ...["json", "csv", "xlsx", "srt", "mp4", "png", "html"].map((form) =>
    h("a", {class: "button", href: `${api}/download/${form}${rest}`, download: ""}, form.toUpperCase())));
}

/** A clip from the film, for raters. */
async function offerCut() {
  const form = find("#cut");
  form.start.max = form.end.max = lasts.toFixed(2);
  if (!form.study.options.length) {
    const {studies} = await ask("/api/v1/studies");
    form.end.value = lasts.toFixed(2);
    fill(form.study, h("option", {value: ""}, "none yet"), ...studies.filter((study) => !study.error).map((study) => h("option", {value: study.name}, study.title)));
  }
}

find("#cut").addEventListener("click", (event) => {
  const {to} = event.target.dataset;
  if (to) find("#cut")[to].value = player.currentTime.toFixed(2);
});
find("#cut").addEventListener("submit", (event) => {
  event.preventDefault();
  const {start, end, study} = Object.fromEntries(new FormData(event.target));
  attempt(async () => {
    const made = await ask(`${api}/clips`, {method: "POST", json: {start_s: Number(start), end_s: Number(end), study}});
    fill(find("#was-cut"), `Saved as ${made.name}. `, h("a", {href: study ? `/votes/${study}` : "/votes"}, study ? "Go to the study" : "Make a study of such clips"));
  });
});
find("#original").addEventListener("change", links);
find("#undo").addEventListener("click", () => attempt(async () => { await ask(`${api}/corrections/last`, {method: "DELETE"}); await load(); }));
find("#delete").addEventListener("click", () => {
  if (confirm("Delete this film here, with everything that was made of it?")) attempt(async () => { await ask(api, {method: "DELETE"}); location.assign("/watch"); });
});
for (const name of ["timeupdate", "seeked", "loadedmetadata"]) player.addEventListener(name, () => { fit(); move(); });
player.addEventListener("error", () => { if (done) find("#said").textContent += " It cannot be played in the browser."; });
const tick = () => { if (!player.paused) move(); requestAnimationFrame(tick); };
tick();
addEventListener("resize", () => { fit(); people.forEach((person) => person.canvas && draw(person)); move(); });
document.addEventListener("keydown", (event) => {
  if (event.key === " " && event.target === document.body) { event.preventDefault(); player.paused ? player.play() : player.pause(); }
});

attempt(async () => {
  film = await ask(api);
  if (film.state === "done") await load();
  else { player.src = `${api}/video`; say(); await listen(); }
});
