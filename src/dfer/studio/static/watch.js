import {ask, attempt, fill, find, h, percent, say, stack} from "./page.js";

const API = "/api/v1/films";
const uploads = new Map();
let told = {films: [], in_folder: []}, order = "name", shownTable = "";

/** Send a file; the progress is shown, and it can be given up. */
function upload(file, name = file.name) {
  const key = Symbol(name);
  const request = new XMLHttpRequest();
  uploads.set(key, {name, share: 0, stop: () => request.abort()});
  request.open("POST", `${API}?name=${encodeURIComponent(name)}`);
  request.setRequestHeader("x-dfer-token", find("meta[name=dfer-token]").content);
  request.setRequestHeader("content-type", "application/octet-stream");
  request.upload.onprogress = (event) => { uploads.get(key).share = event.loaded / event.total; jobs(); };
  request.onloadend = () => {
    uploads.delete(key);
    if (request.status >= 400) {
      let sentence = `${name} could not be sent`;
      try { sentence = JSON.parse(request.responseText).error; } catch { /* no sentence came */ }
      say(sentence);
    }
    refresh();
  };
  request.onerror = () => say(`${name} could not be sent: it is too large, or the server is away.`);
  request.send(file);
  jobs();
}

/** The files in what was dropped, folders with all that is in them. */
async function entries(items) {
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) found.push(await new Promise((done, failed) => entry.file(done, failed)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!part.length) break;
        for (const each of part) await walk(each);
      }
    }
  };
  for (const entry of items) await walk(entry);
  return found;
}

function jobs() {
  const rows = [...uploads.values()].map((job) => h("div", {class: "job"}, h("span", {}, job.name), meter(job.share, "sent"),
    h("button", {class: "plain", onclick: job.stop}, "give up")));
  for (const film of told.films.filter((each) => each.state !== "done" || each.id === newest())) {
    const share = film.length_s ? Math.min(1, film.read_s / film.length_s) : 0;
    const going = film.state === "waiting" || film.state === "reading";
    rows.push(h("div", {class: "job"}, h("a", {href: `/watch/${film.id}`}, film.name), going ? meter(share, "read") : h("span", {}, film.state),
      going ? h("button", {class: "plain", onclick: () => change(`${API}/${film.id}/cancel`, "POST")}, "cancel")
        : h("button", {class: "plain danger", "aria-label": `delete ${film.name}`, onclick: () => change(`${API}/${film.id}`, "DELETE")}, "delete"),
      film.error ? h("small", {}, film.error) : null));
  }
  fill(find("#films"), ...rows);
}

const newest = () => told.films[0]?.id;
const meter = (share, what) => h("div", {class: "meter", role: "progressbar", "aria-label": what, "aria-valuenow": Math.round(100 * share), "--share": `${100 * share}%`}, h("i"));

async function change(address, method, json) {
  await attempt(async () => { await ask(address, {method, json}); await refresh(); });
}

const COLUMNS = {
  film: (row) => row.film, person: (row) => row.name, "seen for": (row) => row.seen_s, strongest: (row) => row.strongest,
  segments: (row) => row.segments, usable: (row) => row.usable, mixed: (row) => row.mixed ?? -1, "cannot tell": (row) => row.cannot_tell ?? -1,
};
const known = (share) => typeof share === "number" ? percent(share) : "–";

function table() {
  const rows = told.films.filter((film) => film.state === "done").flatMap((film) =>
    (film.people.length ? film.people : [{name: "nobody", seen_s: 0, strongest: "–", mean: {}, shades: {}, segments: 0, usable: 0}])
      .map((person) => ({...person, film: film.name, id: film.id, group: film.group})));
  find("#table").hidden = find("#groups").hidden = !rows.length;
  const text = JSON.stringify([rows, order]);
  if (text === shownTable || document.activeElement?.matches("input.group")) return;
  shownTable = text;
  const value = COLUMNS[order] ?? COLUMNS.film;
  rows.sort((a, b) => typeof value(a) === "number" ? value(b) - value(a) : String(value(a)).localeCompare(String(value(b)), undefined, {numeric: true}));
  fill(find("#table .scroll"), h("table", {class: "numbers"},
    h("thead", {}, h("tr", {}, ...Object.keys(COLUMNS).map((name) => h("th", {scope: "col", ...(name === "person" || name === "strongest" ? {class: "text"} : {})},
      h("button", {class: "sort", type: "button", "aria-pressed": String(order === name), onclick: () => { order = name; table(); }}, name))),
      h("th", {scope: "col", class: "text"}, "mean"), h("th", {scope: "col", class: "text"}, "group"))),
    h("tbody", {}, ...rows.map((row) => h("tr", {},
      h("th", {scope: "row"}, h("a", {href: `/watch/${row.id}`}, row.film)), h("td", {class: "text"}, row.name),
      h("td", {}, `${row.seen_s.toFixed(1)} s`), h("td", {class: "text"}, row.strongest), h("td", {}, String(row.segments)),
      h("td", {}, percent(row.usable)), h("td", {}, known(row.mixed)), h("td", {}, known(row.cannot_tell)), h("td", {}, stack(Object.fromEntries(Object.entries(row.mean).map(([name, share]) => [name, Math.round(100 * share)])), row.shades)),
      h("td", {class: "text"}, h("input", {class: "group", value: row.group, maxlength: 80, "aria-label": `group of ${row.film}`,
        onchange: (event) => change(`${API}/${row.id}/group`, "PUT", {group: event.target.value})})))))));
  const names = [...new Set(told.films.map((film) => film.group).filter(Boolean))];
  const form = find("#compare");
  for (const select of [form.one, form.other]) {
    const before = select.value;
    fill(select, ...names.map((name) => h("option", {}, name)));
    if (names.includes(before)) select.value = before;
    else if (select === form.other && names.length > 1) select.value = names[1];
  }
  form.querySelector("button").disabled = names.length < 2;
}

function folder() {
  const form = find("#choose");
  find("#in-folder").hidden = !told.in_folder.length;
  const keys = told.in_folder.map((film) => film.key).join();
  if (form.dataset.keys === keys) return;
  form.dataset.keys = keys;
  fill(form, ...told.in_folder.slice(0, 200).map((film) => h("label", {class: "tick"}, h("input", {type: "checkbox", name: "film", value: film.key}), ` ${film.name}`)),
    h("p", {class: "buttons"}, h("button", {type: "submit"}, "Read the chosen films"), h("button", {type: "button", onclick: () => form.querySelectorAll("input").forEach((box) => { box.checked = true; })}, "Choose all")));
}

async function refresh() {
  told = await ask(API);
  jobs();
  table();
  folder();
}

find("#files").addEventListener("change", (event) => { [...event.target.files].forEach((file) => upload(file)); event.target.value = ""; });
find("#examples").addEventListener("click", () => change(`${API}/examples`, "POST"));
find("#choose").addEventListener("submit", (event) => {
  event.preventDefault();
  const keys = new FormData(event.target).getAll("film").slice(0, 50);
  if (keys.length) change(`${API}/from-folder`, "POST", {keys});
});
find("#compare").addEventListener("submit", (event) => {
  event.preventDefault();
  const {one, other} = Object.fromEntries(new FormData(event.target));
  attempt(async () => {
    const found = await ask(`${API}/groups?${new URLSearchParams({one, other})}`);
    const cell = (group, place) => {
      const [low, high] = found.intervals[group][place];
      return `${percent(found.means[group][place])}${low === null ? "" : ` (${Math.round(100 * low)} to ${Math.round(100 * high)})`}`;
    };
    fill(find("#difference"), h("p", {}, `The groups ${found.p <= 0.05 ? "differ" : "do not differ by more than chance would have it"}: p = ${found.p < 0.001 ? "< 0.001" : found.p.toFixed(3)} (permutation of films, ${found.exact ? "all groupings" : "9,999 groupings"}).`),
      h("table", {class: "numbers"}, h("caption", {}, "Mean distribution, with 95 % intervals by film"),
        h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "emotion"), ...found.groups.map((name, group) => h("th", {scope: "col"}, `${name} (${found.films[group]})`)))),
        h("tbody", {}, ...found.emotions.map((emotion, place) => h("tr", {}, h("th", {scope: "row"}, emotion), h("td", {}, cell(0, place)), h("td", {}, cell(1, place)))))));
  });
});

const drop = find("#drop");
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...event.dataTransfer.files];
  if (items.length) entries(items).then((found) => found.forEach((file) => upload(file)), () => files.forEach((file) => upload(file)));
  else files.forEach((file) => upload(file));
});

let recorder;
find("#webcam").addEventListener("click", () => attempt(async () => {
  if (recorder) { recorder.stop(); return; }
  if (!navigator.mediaDevices || !window.MediaRecorder) throw new Error("This browser lets no page use the webcam here; it needs https or localhost.");
  const camera = await navigator.mediaDevices.getUserMedia({video: true}).catch(() => { throw new Error("There is no webcam, or it may not be used."); });
  const preview = find("#preview"), parts = [];
  preview.srcObject = camera;
  preview.hidden = false;
  preview.play();
  recorder = new MediaRecorder(camera);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    camera.getTracks().forEach((track) => track.stop());
    preview.hidden = true;
    recorder = undefined;
    find("#webcam").textContent = "Record the webcam";
    upload(new Blob(parts), "webcam.webm");
  };
  recorder.start();
  find("#webcam").textContent = "Stop, and read it";
}));

await attempt(refresh);
setInterval(() => {
  const going = told.films.some((film) => film.state === "waiting" || film.state === "reading");
  if (going && document.visibilityState === "visible") attempt(refresh);
}, 700);
