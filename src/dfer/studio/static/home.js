import {ask, attempt, count, find} from "./page.js";

attempt(async () => {
  const {studies} = await ask("/api/v1/studies");
  find("#votes-count").textContent = studies.length ? `${count(studies.length, "study", "studies")}, ${count(studies.reduce((sum, study) => sum + study.votes, 0), "vote")}` : "no study yet";
  const {films} = await ask("/api/v1/films");
  find("#watch-count").textContent = films.length ? count(films.length, "film") : "no film yet";
  const {runs, pages} = await ask("/api/v1/review");
  find("#review-count").textContent = `${count(runs.length, "run")}, ${count(pages.length, "page")}`;
});
