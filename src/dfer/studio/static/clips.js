import {ask, attempt, count, fill, find, h, percent} from "./page.js";

const form = find("#filters"), asked = new URLSearchParams(location.search);
let found = {clips: [], rows: [], emotions: []}, start = 0;

function query(from) {
  const values = new URLSearchParams();
  for (const [key, value] of new FormData(form)) if (value !== "") values.set(key, value);
  values.set("start", from);
  return values;
}

function card(clip) {
  const address = `/api/v1/clips/${form.data.value}/${clip.row}`;
  const people = Object.values(clip.votes).reduce((sum, votes) => sum + votes, 0);
  const names = found.emotions.filter((name) => clip.votes[name] > 0 || clip.probs[name] >= 0.05 || name === clip.label);
  const media = clip.kind === "image" ? h("img", {src: address, alt: clip.id, loading: "lazy"})
    : h("video", {src: `${address}#t=0.1`, controls: true, loop: true, playsinline: "", preload: "metadata", "aria-label": clip.id});
  media.addEventListener("error", () => media.replaceWith(h("p", {class: "note"}, "This clip cannot be shown.")));
  const model = found.clips.some((each) => Object.keys(each.probs).length);
  return h("div", {class: "card"}, media, h("h3", {}, clip.id, clip.group ? h("small", {}, ` ${clip.group}`) : ""),
    h("p", {class: "aside"}, [people ? count(people, "vote") : clip.label ? `label ${clip.label}` : "no votes", clip.entropy === null ? "" : `disagreement ${clip.entropy.toFixed(2)}`, clip.predicted && clip.said ? (clip.predicted === clip.said ? "model agrees" : `model: ${clip.predicted}`) : ""].filter(Boolean).join(" · ")),
    clip.flaws.length ? h("p", {class: "aside"}, `doctor: ${clip.flaws.join(", ")}`) : null,
    h("div", {class: model ? "shares" : "shares alone"}, h("b", {}, ""), h("b", {}, people ? "people" : "label"), model ? h("b", {}, "model") : null,
      ...names.flatMap((name) => {
        const share = people ? clip.votes[name] / people : Number(name === clip.label), chance = clip.probs[name];
        return [h("span", {title: name}, name), h("i", {class: found.shades[name], "--share": `${100 * share}%`, title: percent(share), role: "img", "aria-label": `people ${percent(share)}`}),
          !model ? null : chance === undefined ? h("span", {}, "–") : h("i", {class: `model ${found.shades[name]}`, "--share": `${100 * chance}%`, title: percent(chance), role: "img", "aria-label": `model ${percent(chance)}`})];
      })));
}

const any = (values, text) => [h("option", {value: ""}, text), ...values.map((value) => h("option", {value}, value))];
function choices() {
  for (const [name, values] of [["emotion", found.emotions], ["predicted", found.emotions], ["group", found.groups]]) {
    const before = form[name].value;
    fill(form[name], ...any(values, "any"));
    if (values.includes(before)) form[name].value = before;
  }
  const before = form.flaw.value, flaws = Object.entries(found.flaws);
  fill(form.flaw, h("option", {value: ""}, flaws.length ? "any" : "not asked, or nothing"),
    ...flaws.map(([check, clips]) => h("option", {value: check}, `${check} (${clips})`)));
  if (before in found.flaws) form.flaw.value = before;
}

async function show(from = 0) {
  if (!form.data.value) { find("#found").textContent = "There is no data set in this folder. Make one with prepare, or export a study."; return; }
  start = from;
  found = await ask(`/api/v1/clips?${query(from)}`);
  if (!from) choices();
  find("#found").textContent = `${count(found.found, "clip")} of ${found.total}`;
  const cards = found.clips.map(card);
  if (from) find("#clips").append(...cards);
  else fill(find("#clips"), ...cards);
  find("#more").hidden = start + found.clips.length >= found.found;
}

find("#more").addEventListener("click", () => attempt(() => show(start + found.clips.length)));
form.addEventListener("change", () => attempt(() => show()));
form.addEventListener("submit", (event) => { event.preventDefault(); attempt(() => show()); });
find("#send").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = event.target.name.value;
  attempt(async () => {
    await ask("/api/v1/studies", {method: "POST", json: {name, source: form.data.value, clips: found.rows, definition: {
      title: "What does this face show?", choices: found.emotions.map((emotion) => ({name: emotion, shown: ""})), seed: crypto.getRandomValues(new Uint32Array(1))[0] >>> 1}}});
    location.assign(`/votes/${name}`);
  });
});

await attempt(async () => {
  const listed = await ask("/api/v1/review");
  fill(form.data, ...listed.data.map((item) => h("option", {value: item.key}, item.name)));
  fill(form.run, h("option", {value: ""}, "none"), ...listed.runs.filter((run) => run.predicted).map((run) => h("option", {value: run.key}, run.name)));
  for (const name of ["data", "run"]) if (asked.get(name)) form[name].value = asked.get(name);
  await show();
});
