import {ask, attempt, count, fill, find, h, percent, say, stack} from "./page.js";

const name = find("#overview").dataset.study;
const address = `/api/v1/studies/${name}`;
const EXPORTS = {
  "votes.csv": "Votes, a row each (dfer raters)", "manifest.csv": "Manifest with counts (dfer train)",
  "label_studio.json": "Label Studio", "elan.zip": "ELAN", "votes.sqlite": "Everything (SQLite)",
};
const known = (value, digits = 2) => value === null || value === undefined ? "–" : value.toFixed(digits);

function facts(told) {
  const plan = told.definition.plan;
  const rows = [
    ["votes", told.votes], ["clips", told.clips],
    ["clips that have enough", `${told.clips_done} (${percent(told.clips ? told.clips_done / told.clips : 0)})`],
    ["plan", plan.votes ? `${plan.votes} votes a clip` : `by need, ± ${plan.precision}, ${plan.least} to ${plan.most} votes`],
    ["cannot tell", told.cannot_tell],
    ["Fleiss’ κ", known(told.fleiss_kappa)], ["Krippendorff’s α", known(told.krippendorff_alpha)],
    ...(told.least_certain === null ? [] : [["least certain clip", `± ${known(told.least_certain)}`]]),
  ];
  return [
    h("div", {class: "meter", role: "progressbar", "aria-label": "clips that have enough votes", "aria-valuenow": told.clips_done,
      "aria-valuemin": 0, "aria-valuemax": told.clips, "--share": `${told.clips ? 100 * told.clips_done / told.clips : 0}%`}, h("i")),
    h("dl", {class: "facts"}, ...rows.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, String(value))))),
    told.votes ? h("div", {}, stack(told.chosen, told.shades), h("ul", {class: "legend"}, ...Object.entries(told.chosen).map(([emotion, count]) =>
      h("li", {}, h("span", {class: `swatch ${told.shades[emotion]}`}), `${emotion} ${count}`)))) : h("p", {class: "aside"}, "Nobody has voted yet. Add raters below and send them their links."),
    told.vanished.length ? h("p", {class: "note"}, `${told.vanished.length} clips are no longer there and are not shown: ${told.vanished.slice(0, 5).join(", ")}`) : null,
  ];
}

function people(told) {
  if (!told.raters.length) return h("p", {class: "aside"}, "There are no raters yet.");
  return h("table", {class: "numbers"},
    h("thead", {}, h("tr", {}, ...["rater", "votes", "κ with the others", "same again", "careless", "link", ""].map((text, place) =>
      h("th", {scope: "col", ...(place > 3 ? {class: "text"} : {})}, text || h("span", {class: "hidden"}, "delete"))))),
    h("tbody", {}, ...told.raters.map((rater) => h("tr", {},
      h("th", {scope: "row"}, rater.name), h("td", {}, String(rater.votes)), h("td", {}, known(rater.kappa)),
      h("td", {}, rater.repeated ? `${rater.same_again} of ${rater.repeated}` : "–"),
      h("td", {class: "text"}, rater.careless || (rater.judged ? "no" : "too few votes")),
      h("td", {class: "text"}, h("button", {type: "button", class: "plain", onclick: () => copy(rater.link)}, "copy"), " ",
        h("a", {href: rater.link, target: "_blank", rel: "noopener"}, "open")),
      h("td", {}, h("button", {type: "button", class: "plain danger", "aria-label": `delete ${rater.name} and their votes`, onclick: () => forget(rater)}, "delete")),
    ))));
}

async function copy(link) {
  await attempt(async () => { await navigator.clipboard.writeText(new URL(link, location.href).href); say("The link is in the clipboard."); });
}

async function forget(rater) {
  if (!confirm(`Delete ${rater.name} and ${rater.votes} votes? This cannot be undone.`)) return;
  await attempt(async () => { await ask(`${address}/raters/${rater.number}`, {method: "DELETE"}); await show(); });
}

async function show() {
  const told = await ask(address);
  fill(find("#overview"), ...facts(told));
  fill(find("#people"), people(told));
  fill(find("#disagreed"), ...(told.disagreed.length ? told.disagreed.map((clip) => h("div", {class: "card"},
    h("video", {src: `${address}/clips/${clip.clip}#t=0.1`, controls: true, preload: "metadata", loop: true, playsinline: "", "aria-label": clip.name}),
    h("p", {}, clip.name), stack(clip.votes, told.shades),
    h("p", {class: "aside"}, Object.entries(clip.votes).filter(([, count]) => count).map(([emotion, count]) => `${emotion} ${count}`).join(", ")),
  )) : [h("p", {class: "aside"}, "No clip with three votes or more divides people yet.")]));
}

find("#exports").append(...Object.entries(EXPORTS).map(([form, text]) =>
  h("a", {class: "button", href: `${address}/export/${form}`, download: ""}, text)));

find("#exports").append(h("button", {type: "button", onclick: () => attempt(async () => {
  const {name: file} = await ask(`${address}/manifest`, {method: "POST"});
  say(`Saved as ${file}. Review can check it, and train on it.`);
})}, "Save the manifest in this folder"));

find("#raters").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = event.target.names.value.trim();
  const json = /^\d+$/.test(text) ? {count: Number(text)} : {names: text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean)};
  attempt(async () => { await ask(`${address}/raters`, {method: "POST", json}); event.target.reset(); await show(); });
});

find("#import").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    let added = 0, former = 0;
    const reasons = [];
    for (const file of event.target.file.files) {
      const told = await ask(`${address}/answers?name=${encodeURIComponent(file.name)}`, {method: "POST", body: file});
      added += told.added;
      former += told.read - told.added;
      reasons.push(...Object.entries(told.left_out).map(([reason, number]) => `${number} left out: ${reason}`));
    }
    say([`${count(added, "vote")} added`, ...(former ? [`${former} were here already`] : []), ...reasons].join("; "));
    event.target.reset();
    await show();
  });
});

attempt(show);
setInterval(() => { if (document.visibilityState === "visible" && !document.activeElement?.closest("form")) attempt(show); }, 10000);
