"use strict";
// What all pages do in the browser. Pages say what they want in attributes:
//   data-go="q"         `g` and then this key follows the link
//   data-key="c"        this key clicks the element (`mod+enter` also works while typing)
//   data-told="Confirm" what the shortcut does, where the element's own text does not say it
//   data-focus          its key moves the focus there, so that Enter does it
//   data-focus-first    a <details> that, once open, has the focus in its first field
//   data-rows           the children can be walked with j and k, Enter opens the link in the chosen one, x ticks its
//                       box, and the keys of what is inside a child work while it is the chosen one
//   data-advance        on such a child: a choice by key leads on to the next one that is not data-optional
//   data-all            this box ticks all boxes of its form; data-chosen tells how many are ticked
//   data-filter         what is typed leaves only those [data-option]s of the <details> that hold it; Enter takes the best
//   data-light="a"      under the pointer or the focus, what has data-lit="a" is lit; [data-light-pin] inside keeps it so
//   data-tabs           the link that was followed last is the current one
//   data-drop           a file that is dropped or chosen here is put into the text area inside, up to data-most bytes
//   data-copy="id"      a click puts the text of that element on the clipboard
//   data-scripted       shown only where this script runs
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
    if ("focus" in found.dataset || found.matches("input:not([type=checkbox], [type=radio], [type=submit]), textarea, select")) return found.focus();
    found.click();
    // What is typed next is meant for the field that has just come into sight, not for the page.
    if (found.matches("summary")) return focusFirst(found.parentElement);
    if (found.matches("[type=radio]") && found.closest("[data-advance]") === rows[at]) {
      const next = rows.findIndex((row, place) => place > at && !row.matches("[data-optional]"));
      if (next > 0) choose(rows, next);
    }
  }

  function focusFirst(details) {
    if (!details.open || !details.matches("[data-chooser], [data-focus-first]")) return;
    [...details.querySelectorAll("input")].find(visible)?.focus();
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

  // Choosing from many by a few letters

  function filter(field) {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const options = [...field.closest("details").querySelectorAll("[data-option]")];
    for (const option of options) {
      option.hidden = !words.every((word) => option.dataset.option.includes(word));
      option.classList.remove("best");
    }
    const left = options.filter((option) => !option.hidden);
    const best = words.length ? left.find((option) => option.dataset.option.startsWith(words[0])) || left[0] : null;
    best?.classList.add("best");
    return best;
  }

  function filtering(event) {
    const field = event.target.closest?.("[data-filter]");
    if (!field || event.isComposing) return;
    const chooser = field.closest("details");
    if (event.key === "Enter") {
      event.preventDefault();
      const best = filter(field);
      if (!best) return;
      // A second Enter, pressed before the answer is there, must not choose again.
      chooser.open = false;
      best.querySelector("button").click();
    } else if (event.key === "Escape") {
      event.preventDefault();
      chooser.open = false;
      chooser.querySelector("summary").focus();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      [...chooser.querySelectorAll("[data-option] button")].find(visible)?.focus();
    }
  }

  // Evidence

  let pinned = "";
  function light(name) {
    for (const one of document.querySelectorAll("[data-lit]")) {
      one.classList.toggle("lit", Boolean(name) && one.dataset.lit.split(" ").includes(name));
    }
  }
  function pin(button) {
    const name = button.closest("[data-light]").dataset.light;
    pinned = pinned === name ? "" : name;
    for (const one of document.querySelectorAll("[data-light-pin]")) {
      one.setAttribute("aria-pressed", String(one.closest("[data-light]").dataset.light === pinned));
    }
    light(pinned);
    if (pinned) document.querySelector(".lit")?.scrollIntoView({ block: "center" });
  }

  // Files, and the clipboard

  async function take(place, file) {
    if (!file) return;
    const most = Number(place.dataset.most || Infinity);
    if (file.size > most) {
      return tell(`${file.name} has ${file.size.toLocaleString("en")} bytes, more than the ${most.toLocaleString("en")} that are taken: leave out logs and dumps.`);
    }
    const area = place.querySelector("textarea");
    area.value = await file.text();
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  }

  function drop(event) {
    const place = event.target.closest?.("[data-drop]");
    if (!place) return;
    // Text that is dragged goes where it is dropped, as everywhere.
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    place.classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") take(place, event.dataTransfer.files[0]);
  }

  async function copy(button) {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      // Without a secure connection browsers give no clipboard: it is selected, for Ctrl C.
      getSelection().selectAllChildren(text);
      tell("The browser does not let the page copy: it is selected, press Ctrl C.");
    }
  }

  function tell(text) {
    const notice = document.createElement("div");
    notice.className = "notice bad";
    notice.textContent = text;
    document.getElementById("notices").replaceChildren(notice);
  }

  function unveil(inside) {
    for (const one of inside.querySelectorAll("[data-scripted][hidden]")) one.hidden = false;
  }

  document.addEventListener("keydown", filtering);
  document.addEventListener("keydown", pressed);
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-filter]")) filter(event.target);
  });
  document.addEventListener("change", (event) => {
    const place = event.target.matches("input[type=file]") && event.target.closest("[data-drop]");
    if (place) take(place, event.target.files[0]);
  });
  document.addEventListener("focusin", follow);
  document.addEventListener("change", tick);
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("summary");
    // Once it has opened, and if it does.
    if (summary && event.isTrusted) setTimeout(() => focusFirst(summary.parentElement));
  });
  for (const type of ["pointerover", "focusin"]) {
    document.addEventListener(type, (event) => light(event.target.closest?.("[data-light]")?.dataset.light || pinned));
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-shortcuts]")) tellKeys();
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    event.target.closest("[data-dismiss]")?.closest(".notice").remove();
    const pinning = event.target.closest("[data-light-pin]");
    if (pinning) pin(pinning);
    const copying = event.target.closest("[data-copy]");
    if (copying) copy(copying);
    const tab = event.target.closest("[data-tabs] a");
    if (tab) {
      for (const one of tab.closest("[data-tabs]").querySelectorAll("a")) one.removeAttribute("aria-current");
      tab.setAttribute("aria-current", "true");
    }
  });
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, drop);
  for (const type of ["DOMContentLoaded", "htmx:afterSwap"]) {
    document.addEventListener(type, () => { tellTimes(document); unveil(document); });
  }
  // On a phone the pages are wider than the screen.
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  });
  // What went wrong before is over once something was done.
  document.addEventListener("htmx:afterRequest", (event) => {
    const { successful, requestConfig } = event.detail;
    if (successful && requestConfig.verb !== "get") document.getElementById("notices").replaceChildren();
  });
  // What is refused before any page is asked comes as a problem document.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (!xhr.getResponseHeader("Content-Type")?.startsWith("application/problem+json")) return;
    event.detail.shouldSwap = false;
    tell(JSON.parse(xhr.responseText).detail);
  });
  document.addEventListener("htmx:sendError", () => tell("The service can't be reached. What you typed is still here: try again."));
})();
