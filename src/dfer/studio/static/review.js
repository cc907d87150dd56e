import {ask, attempt, count, fill, find, h, percent} from "./page.js";

const form = find("#start");
let shown = "";

const score = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);

function runs(found) {
  if (!found.length) return h("p", {class: "aside"}, "There is no run in this folder yet.");
  const rows = found.flatMap((run) => (run.scores?.length ? run.scores : [null]).map((cell) => h("tr", {},
    h("th", {scope: "row"}, run.name, cell && run.scores.length > 1 ? ` · ${cell.name}` : ""), h("td", {}, String(run.epochs || "–")),
    h("td", {}, cell ? String(cell.n ?? "–") : "–"), h("td", {}, cell && cell.war !== null ? percent(cell.war) : "–"), h("td", {}, cell && cell.uar !== null ? percent(cell.uar) : "–"),
    h("td", {}, cell ? score(cell.kl, 3) : "–"), h("td", {class: "text"}, run.predicted ? h("a", {href: `/review/clips?run=${run.key}`}, "clips") : run.trained ? "not evaluated" : "not trained to the end"))));
  return h("table", {class: "numbers"}, h("thead", {}, h("tr", {}, ...["run", "epochs", "test clips", "WAR", "UAR", "KL"].map((name) => h("th", {scope: "col"}, name)), h("th", {scope: "col", class: "text"}, "look"))), h("tbody", {}, ...rows));
}

function choose(select, items, empty) {
  const before = select.value;
  fill(select, ...(items.length ? items.map((item) => h("option", {value: item.key ?? item}, item.name ?? item)) : [h("option", {value: ""}, empty)]));
  if ([...select.options].some((option) => option.value === before)) select.value = before;
}

async function list() {
  const found = await ask("/api/v1/review");
  const text = JSON.stringify(found);
  if (text === shown) return;
  shown = text;
  fill(find("#runs"), runs(found.runs));
  fill(find("#pages"), ...found.pages.map((page) => h("li", {}, h("a", {href: `/review/pages/${page.key}`, target: "_blank", rel: "noopener"}, page.name))));
  if (!found.pages.length) fill(find("#pages"), h("li", {class: "none"}, "There is none yet."));
  fill(find("#data"), ...found.data.map((item) => h("li", {}, h("a", {href: `/review/clips?data=${item.key}`}, item.name))));
  if (!found.data.length) fill(find("#data"), h("li", {class: "none"}, "There is none yet."));
  choose(form.data, found.data, "no manifest in this folder");
  choose(form.folder, found.folders, "no clips in this folder");
  choose(form.run, found.runs, "no run in this folder");
  choose(form.recipe, found.recipes, "none");
  if (!form.dataset.chosen) { form.dataset.chosen = "1"; form.recipe.value = "finetune_faces"; }
}

async function work() {
  const jobs = await ask("/api/v1/work");
  fill(find("#work"), ...jobs.map((job) => h("details", {open: job.state === "running" || job === jobs[0]},
    h("summary", {}, `${job.title}: ${job.state}`),
    h("pre", {class: "log", tabindex: "0", "aria-label": `what ${job.title} says`}, job.log || "…"),
    ["waiting", "running"].includes(job.state) ? h("button", {type: "button", onclick: () => attempt(async () => { await ask(`/api/v1/work/${job.id}/stop`, {method: "POST"}); await work(); })}, "Stop") : null)));
  return jobs.some((job) => ["waiting", "running"].includes(job.state));
}

function fields() {
  form.querySelectorAll("[data-for]").forEach((label) => { label.hidden = !label.dataset.for.split(" ").includes(form.verb.value); });
}

form.verb.addEventListener("change", fields);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = Object.fromEntries(new FormData(form));
  const json = {verb: given.verb, data: given.verb === "prepare" ? given.folder : given.data, run: given.run, name: given.name, reader: given.reader, recipe: given.recipe, epochs: Number(given.epochs)};
  attempt(async () => { await ask("/api/v1/work", {method: "POST", json}); await work(); });
});

fields();
await attempt(list);
let going = await attempt(work);
setInterval(() => attempt(async () => {
  if (document.visibilityState !== "visible") return;
  const before = going;
  if (before || find("#work details")) going = await work();
  if (before) await list();
}), 2000);
