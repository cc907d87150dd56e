// A rater's page: one clip, the emotions, a vote; votes that could not be sent wait in the browser until they can.
import {ask, fill, find, h, say} from "./page.js";

const base = location.pathname.replace(/\/$/, "");
const waiting = `dfer waiting ${base}`;
const stage = find("#stage");
let study, step, shownAt = 0, chosen = new Map(), looking = null, busy = false;

const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const kept = () => { try { return JSON.parse(localStorage.getItem(waiting)) ?? []; } catch { return []; } };
const keep = (votes) => { try { localStorage.setItem(waiting, JSON.stringify(votes)); } catch { /* private mode */ } };

/** Send what waits, the oldest first; a vote that the server refuses for good is dropped and told. */
async function send(vote) {
  let queue = vote ? [...kept(), vote] : kept();
  keep(queue);
  let answer = null;
  while (queue.length) {
    try {
      answer = await ask(`${base}/votes`, {method: "POST", json: queue[0]});
    } catch (error) {
      if (!error.status || error.status >= 500 || error.status === 429) throw error;
      keep(queue = queue.slice(1));
      throw error;
    }
    keep(queue = queue.slice(1));
  }
  return answer;
}

/** A fixed word in the language of the study, with what stands for {}. */
const word = (key, value = "") => study.words[key].replace("{}", value);

function title() { return h("h1", {}, study.title); }

function welcome() {
  const begun = study.votes.length > 0;
  fill(stage, title(), h("p", {class: "texts"}, study.instructions),
    h("p", {}, [word("clips", study.clips), begun ? word("voted", study.votes.length) : "", word("pause")].filter(Boolean).join(" ")),
    h("div", {class: "foot"}, h("button", {class: "primary", id: "begin", onclick: () => next(step)}, word(begun ? "go_on" : "begin")), mine()));
  find("#begin").focus();
}

/** Delete what this person said. */
function mine() {
  return h("button", {class: "plain", onclick: async () => {
    if (!confirm(word("forget_sure"))) return;
    try {
      await ask(`${base}/forget`, {method: "POST"});
      keep([]);
      fill(stage, title(), h("p", {}, word("forgotten")));
    } catch (error) { say(error.message); }
  }}, word("forget"));
}

function next(what) {
  step = what;
  looking = null;
  if (step.kind === "done") return thanks();
  if (step.break && find(".shown")) return pause();
  show(step.clip, step.still, {}, step.kind);
}

function thanks() {
  fill(stage, title(), h("p", {class: "texts"}, study.thanks),
    h("div", {class: "foot"}, study.votes.length ? h("button", {id: "back", onclick: back}, word("look_again")) : "", mine()));
}

function pause() {
  fill(stage, h("h1", {}, word("break")),
    h("p", {}, `${word("voted", step.done)} ${word("rest")}`),
    h("button", {class: "primary", id: "begin", onclick: () => show(step.clip, step.still, {}, step.kind)}, word("go_on")));
  find("#begin").focus();
}

/** One clip with the emotions, some of them chosen already where the rater goes back. */
function show(clip, still, emotions, kind) {
  chosen = new Map(Object.entries(emotions));
  const address = `${base}/clips/${clip}`;
  const failed = () => say(word("not_shown"));
  const film = still ? h("img", {src: address, alt: word("picture"), onerror: failed})
    : h("video", {src: address, autoplay: true, loop: true, playsinline: "", controls: "", preload: "auto", "aria-label": word("film"), onerror: failed});
  if (!still) film.muted = true;
  const share = study.clips ? Math.min(1, step.done / study.clips) : 0;
  const needsNext = study.several || study.strength;
  const tell = study.cannot_tell ? [{name: "", shown: word("cannot_tell"), shade: ""}] : [];
  fill(stage,
    h("div", {class: "top"}, h("h1", {}, kind === "practice" ? word("practice") : looking === null ? word("clip", step.done + 1) : word("again")),
      h("div", {class: "meter", role: "progressbar", "aria-label": word("progress"), "aria-valuenow": step.done, "aria-valuemin": 0, "aria-valuemax": study.clips, "--share": `${100 * share}%`}, h("i")),
      h("button", {class: "plain", onclick: () => { if (!still) { film.currentTime = 0; film.play(); } }, hidden: Boolean(still)}, word("play_again"))),
    h("div", {class: "shown"}, film),
    h("ul", {class: "choices", "aria-label": word("question")}, ...[...study.choices, ...tell].map((choice, place) => h("li", {},
      h("button", {class: `choice ${choice.shade}`, "data-name": choice.name, "aria-pressed": "false", onclick: () => choose(choice.name, kind)},
        h("span", {}, choice.shown), keyOf(place, choice.name) ? h("kbd", {}, keyOf(place, choice.name)) : null),
      study.strength && choice.name ? h("input", {class: `strength ${choice.shade}`, type: "range", min: 0.05, max: 1, step: 0.05, value: 0.5, hidden: true, "data-of": choice.name, "aria-label": word("strength", choice.shown),
        oninput: (event) => chosen.set(choice.name, Number(event.target.value))}) : null))),
    h("div", {class: "foot"},
      h("button", {id: "back", class: "plain", onclick: back, disabled: !study.votes.length || kind === "practice"}, `← ${word("back")}`),
      needsNext ? h("button", {id: "next", class: "primary", onclick: () => vote(kind), disabled: true}, `${word("next")} ↵`) : ""));
  film.dataset.clip = clip;
  mark();
  shownAt = performance.now();
}

const keyOf = (place, name) => name === "" ? "0" : place < 9 ? String(place + 1) : "";

function mark() {
  stage.querySelectorAll(".choice").forEach((button) => button.setAttribute("aria-pressed", String(chosen.has(button.dataset.name))));
  stage.querySelectorAll(".strength").forEach((slider) => {
    slider.hidden = !chosen.has(slider.dataset.of);
    if (!slider.hidden) slider.value = chosen.get(slider.dataset.of);
  });
  const button = find("#next");
  if (button) button.disabled = chosen.size === 0;
}

function choose(name, kind) {
  if (busy) return;
  const value = study.strength && name ? 0.5 : null;
  if (chosen.has(name) && study.several) chosen.delete(name);
  else if (name === "" || !study.several) chosen = new Map([[name, chosen.get(name) ?? value]]);
  else { chosen.delete(""); chosen.set(name, value); }
  mark();
  if (!study.several && !study.strength) vote(kind);
}

async function vote(kind) {
  if (busy || chosen.size === 0) return;
  busy = true;
  const clip = looking ?? step.clip, still = stage.querySelector(".shown img") !== null;
  const emotions = Object.fromEntries([...chosen].filter(([name]) => name !== ""));
  const seconds = Math.round(performance.now() - shownAt) / 1000;
  try {
    const answer = await send({key: random(), clip, emotions, version: study.version, seconds, kind});
    if (kind === "vote") {
      const former = study.votes.find((each) => each.clip === clip);
      if (former) former.emotions = emotions;
      else study.votes.push({clip, emotions, still});
    }
    if (answer.feedback) feedback(answer);
    else next(answer.step);
  } catch (error) {
    if (error.status === 409 || error.status === 410) {
      fill(stage, title(), h("p", {class: "note"}, word(error.status === 409 ? "changed" : "gone")));
    } else {
      say(error.status ? error.message : word("kept"));
      if (!error.status || error.status >= 500) setTimeout(again, 3000);
    }
  } finally {
    busy = false;
  }
}

async function again() {
  try {
    await send();
    await load();
    next(step);
    say(word("sent"));
  } catch { setTimeout(again, 5000); }
}

function feedback(answer) {
  const {text, fits, expected} = answer.feedback;
  const names = expected.map((name) => study.choices.find((choice) => choice.name === name)?.shown ?? name);
  find(".choices").replaceWith(h("div", {class: fits ? "feedback" : "feedback off"},
    h("p", {}, fits ? word("fits") : word("differs", names.join(` ${word("or")} `))), text ? h("p", {}, text) : null));
  fill(find(".foot"), h("button", {class: "primary", id: "begin", onclick: () => next(answer.step)}, `${word("next")} ↵`));
  find("#begin").focus();
}

function back() {
  const order = study.votes.map((each) => each.clip);
  const place = looking === null ? order.length - 1 : order.indexOf(looking) - 1;
  if (place < 0) return;
  const former = study.votes[place];
  looking = former.clip;
  const emotions = Object.keys(former.emotions).length ? former.emotions : {"": null};
  show(former.clip, former.still, emotions, "vote");
  find(".foot").append(h("button", {onclick: () => next(step)}, `${word("newest")} →`));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input")) return;
  const buttons = [...stage.querySelectorAll(".choice")];
  const wanted = event.key === "0" ? buttons.find((button) => button.dataset.name === "")
    : /^[1-9]$/.test(event.key) ? buttons.filter((button) => button.dataset.name !== "")[Number(event.key) - 1] : null;
  if (wanted) wanted.click();
  else if (event.key === "Enter" && !event.target.matches("button")) find("#next")?.click();
  else if (event.key === "Backspace") find("#back")?.click();
});

async function load() {
  study = await ask(`${base}/state`);
  step = study.step;
}

try {
  if (kept().length) await send();
} catch { /* they wait on */ }
try {
  await load();
  welcome();
} catch (error) {
  fill(stage, h("p", {class: "note"}, error.message));
}
