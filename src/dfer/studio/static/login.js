import {ask, attempt, find} from "./page.js";

find("#login").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    await ask("/login", {method: "POST", json: {password: new FormData(event.target).get("password")}});
    location.assign("/");
  });
});
