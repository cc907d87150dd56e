import {ask, attempt, count, fill, find, h, say} from "./page.js";

const form = find("#new");

async function show() {
  const {studies, sources} = await ask("/api/v1/studies");
  fill(find("#studies"), studies.length ? h("div", {class: "cards"}, ...studies.map((study) =>
    h("a", {class: "room", href: `/votes/${study.name}`},
      h("h3", {}, study.title),
      h("p", {}, study.error || `${count(study.votes, "vote")} on ${count(study.clips, "clip")}, ${count(study.raters, "rater")}`),
      h("small", {}, study.name)))) : h("p", {class: "aside"}, "There is no study in this folder yet."));
  fill(form.source, ...sources.map((source) => h("option", {value: source.key},
    source.kind === "manifest" ? `manifest ${source.name}` : `folder ${source.name} (${source.count} clips and pictures)`)));
  if (!sources.length) fill(form.source, h("option", {value: ""}, "no clips in this folder"));
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const parts = (line, count) => {
  const found = line.split("=").map((part) => part.trim());
  return [...found.slice(0, count - 1), found.slice(count - 1).join("=")];
};

function definition(data) {
  const whole = (name) => Number(data.get(name));
  return {
    title: data.get("title"),
    choices: lines(data.get("choices")).map((line) => {
      const [name, shown] = parts(line, 2);
      return {name, shown: shown ?? ""};
    }),
    ...(data.get("instructions").trim() ? {instructions: data.get("instructions").trim()} : {}),
    plan: data.get("plan") === "every" ? {votes: whole("votes")}
      : {precision: whole("precision"), least: whole("least"), most: whole("most")},
    several: data.has("several"), strength: data.has("strength"), cannot_tell: data.has("cannot_tell"),
    practice: lines(data.get("practice")).map((line) => {
      const [clip, emotions, feedback] = parts(line, 3);
      return {clip, emotions: (emotions ?? "").split(",").map((name) => name.trim()).filter(Boolean), feedback: feedback ?? ""};
    }),
    repeat_every: whole("repeat_every"), break_every: whole("break_every"),
    seed: crypto.getRandomValues(new Uint32Array(1))[0] >>> 1,
    language: data.get("language"),
  };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  attempt(async () => {
    const made = await ask("/api/v1/studies", {method: "POST", json: {
      name: data.get("name"), source: data.get("source"), definition: definition(data)}});
    say(`${made.clips} clips`);
    location.assign(`/votes/${made.name}`);
  });
});

attempt(show);
