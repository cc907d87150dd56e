"use strict";
(() => {
  const video = document.querySelector("video");
  const length = Number(document.getElementById("film").dataset.seconds);
  const seeks = document.querySelectorAll(".seek");
  if (!video || !length) {
    seeks.forEach((button) => { button.disabled = true; });
    document.querySelectorAll(".time").forEach((place) => { place.style.cursor = "auto"; place.removeAttribute("title"); });
    return;
  }
  const heads = document.querySelectorAll(".head");
  const move = () => heads.forEach((head) => {
    head.style.display = "block";
    head.style.left = `${Math.min(100, 100 * video.currentTime / length)}%`;
  });
  const go = (seconds) => { video.currentTime = seconds; move(); };
  ["timeupdate", "seeked"].forEach((name) => video.addEventListener(name, move));
  seeks.forEach((button) => button.addEventListener("click", () => go(Number(button.dataset.time))));
  document.querySelectorAll(".time").forEach((place) => place.addEventListener("click", (event) => {
    const box = place.getBoundingClientRect();
    go(length * (event.clientX - box.left) / box.width);
  }));
})();
