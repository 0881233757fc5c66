"use strict";
// Without this script links lead from fields to places and back; with it both are shown, and nothing else moves.

const all = (link, number) => link.closest("article").querySelectorAll(`[data-of~="${number}"]`);
const numbers = (link) => link.dataset.of.split(" ");

function light(link, number) {
  for (const old of document.querySelectorAll(".lit")) old.classList.remove("lit");
  for (const part of all(link, number)) part.classList.add("lit");
}

function warm(event, on) {
  const link = event.target.closest("[data-of]");
  if (!link) return;
  for (const number of numbers(link))
    for (const part of all(link, number)) part.classList.toggle("warm", on);
}

// of several fields at one place the next one with every click
function chosen(link) {
  const found = numbers(link);
  const last = found.indexOf(link.dataset.last);
  link.dataset.last = found[(last + 1) % found.length];
  return link.dataset.last;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-of]");
  if (!link) return;
  const number = chosen(link);
  const isValue = link.classList.contains("value");
  const target = isValue
    ? link.closest("article").querySelector(`.text [data-of~="${number}"]`)
    : document.getElementById(`f${number}`);
  if (!target) return;
  event.preventDefault();
  light(link, number);
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: isValue ? "center" : "nearest" });
});
document.addEventListener("mouseover", (event) => warm(event, true));
document.addEventListener("mouseout", (event) => warm(event, false));
