"use strict";
// What all pages do in the browser. Pages say what they want in attributes:
//   data-go="q"         `g` and then this key follows the link
//   data-key="c"        this key clicks the element (`mod+enter` also works while typing)
//   data-told="Confirm" what the shortcut does, where the element's own text does not say it
//   data-rows           the children can be walked with j and k, Enter opens the link in the chosen one, x ticks its
//                       box, and the keys of what is inside a child work while it is the chosen one
//   data-advance        on such a child: a choice by key leads on to the next one that is not data-optional
//   data-all            this box ticks all boxes of its form; data-chosen tells how many are ticked
//   data-drop           a file that is dropped here is put into the text area inside
//   data-dismiss        a click takes the notice away
// Nothing that matters depends on a script alone, except what changes in place.

(() => {
  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  const visible = (element) => element.checkVisibility?.() ?? element.offsetParent !== null;

  // Keys

  let went = -Infinity;
  function pressed(event) {
    const combined = event.ctrlKey || event.metaKey;
    const name = (combined ? "mod+" : "") + event.key.toLowerCase();
    if (event.altKey || event.defaultPrevented) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      if (!combined) return;
    } else if (combined && name !== "mod+enter") {
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (!combined && event.timeStamp - went < 1500) {
      went = -Infinity;
      const link = document.querySelector(`[data-go="${CSS.escape(name)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (name === "g") { went = event.timeStamp; return; }
    if (name === "?") { event.preventDefault(); return tellKeys(); }
    // What has the focus has Enter for itself.
    if (name === "enter" && event.target.closest("a, button, summary")) return;
    if (walk(name)) { event.preventDefault(); return; }
    const { rows, at } = walked();
    const keyed = [...document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`)].filter(visible);
    const found = keyed.find((one) => rows[at]?.contains(one)) || keyed.find((one) => !one.closest("[data-rows]"));
    if (!found) return;
    event.preventDefault();
    if (found.matches("input:not([type=checkbox], [type=radio], [type=submit]), textarea, select")) return found.focus();
    found.click();
    if (found.matches("[type=radio]") && found.closest("[data-advance]") === rows[at]) {
      const next = rows.findIndex((row, place) => place > at && !row.matches("[data-optional]"));
      if (next > 0) choose(rows, next);
    }
  }

  const BOX = "[type=checkbox]:not([data-key])";

  // Screen readers know a chosen row of a table, and a current one of anything else.
  const mark = (row) => row.matches("tr") ? "aria-selected" : "aria-current";

  function walked() {
    const list = [...document.querySelectorAll("[data-rows]")].find(visible);
    const rows = list ? [...list.children].filter(visible) : [];
    return { rows, at: rows.findIndex((row) => row.getAttribute(mark(row)) === "true") };
  }

  function choose(rows, next) {
    rows.forEach((row, place) => row.setAttribute(mark(row), String(place === next)));
    rows[next].scrollIntoView({ block: "nearest" });
  }

  function follow(event) {
    const { rows, at } = walked();
    const focused = rows.findIndex((row) => row.contains(event.target));
    if (focused >= 0 && focused !== at) choose(rows, focused);
  }

  function walk(name) {
    const { rows, at } = walked();
    if (!rows.length || !["j", "k", "enter", "x"].includes(name)) return false;
    if (name === "enter") {
      const link = rows[at]?.querySelector("a[href]");
      link?.click();
      return Boolean(link);
    }
    if (name === "x") {
      const box = rows[at]?.querySelector(BOX);
      box?.click();
      return Boolean(box);
    }
    choose(rows, Math.min(Math.max(at + (name === "j" ? 1 : -1), 0), rows.length - 1));
    return true;
  }

  // Boxes

  function tick(event) {
    const form = event.target.closest("form");
    if (!form || !event.target.matches("[type=checkbox]")) return;
    const boxes = [...form.querySelectorAll("[type=checkbox][name]")].filter((box) => box.closest("[data-rows]"));
    if (event.target.matches("[data-all]")) boxes.forEach((box) => { box.checked = event.target.checked; });
    const told = form.querySelector("[data-chosen]");
    if (told) told.textContent = `${boxes.filter((box) => box.checked).length} chosen`;
  }

  function tellKeys() {
    const list = document.querySelector("[data-shortcut-list]");
    const entries = [["?", "These shortcuts"]];
    const { rows, at } = walked();
    if (rows.length) entries.push(["j", "Next"], ["k", "Previous"]);
    if (rows.some((row) => row.querySelector("a[href]"))) entries.push(["Enter", "Open"]);
    if (rows.some((row) => row.querySelector(BOX))) entries.push(["x", "Choose"]);
    for (const one of document.querySelectorAll("[data-key]")) {
      if (visible(one) && (!one.closest("[data-rows]") || rows[at]?.contains(one))) entries.push([one.dataset.key.replace("mod+", "Ctrl "), one.dataset.told || one.getAttribute("aria-label") || one.textContent]);
    }
    for (const one of document.querySelectorAll("[data-go]")) entries.push([`g ${one.dataset.go}`, one.textContent]);
    list.replaceChildren(...entries.flatMap(([keys, told]) => {
      const term = document.createElement("dt");
      for (const key of keys.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        term.append(cap, " ");
      }
      const meaning = document.createElement("dd");
      meaning.textContent = told.trim();
      return [term, meaning];
    }));
    document.getElementById("shortcuts").showModal();
  }

  // Light and dark

  function switchTheme() {
    const root = document.documentElement;
    const isDark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    root.dataset.theme = isDark ? "light" : "dark";
    document.querySelector("meta[name=color-scheme]").content = root.dataset.theme;
    document.cookie = `triage_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  }

  // Times: what is shown is UTC; the local time and how long ago that is stand beside it.

  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
  function tellTimes(inside) {
    for (const one of inside.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(one.dateTime);
      const seconds = (at - Date.now()) / 1000;
      const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) || ["second", 1];
      one.title = `${relative.format(Math.round(seconds / size), unit)}, ${at.toLocaleString()} local time`;
    }
  }

  // Files

  async function drop(event) {
    const place = event.target.closest?.("[data-drop]");
    if (!place) return;
    event.preventDefault();
    place.classList.toggle("over", event.type === "dragover");
    const file = event.type === "drop" ? event.dataTransfer.files[0] : null;
    if (!file) return;
    const area = place.querySelector("textarea");
    area.value = await file.text();
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-shortcuts]")) tellKeys();
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    event.target.closest("[data-dismiss]")?.closest(".notice").remove();
  });
  document.addEventListener("focusin", follow);
  document.addEventListener("change", tick);
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, drop);
  document.addEventListener("htmx:afterSwap", (event) => tellTimes(event.target));
  document.addEventListener("htmx:sendError", () => {
    const notice = document.createElement("div");
    notice.className = "notice bad";
    notice.textContent = "The service can't be reached. What you typed is still here: try again.";
    document.getElementById("notices").replaceChildren(notice);
  });
  document.addEventListener("DOMContentLoaded", () => tellTimes(document));
})();
