import {ask, attempt, find} from "./page.js";

const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

attempt(async () => {
  const {studies} = await ask("/api/v1/studies");
  find("#votes-count").textContent = studies.length ? `${count(studies.length, "study").replace("studys", "studies")}, ${count(studies.reduce((sum, study) => sum + study.votes, 0), "vote")}` : "no study yet";
});
