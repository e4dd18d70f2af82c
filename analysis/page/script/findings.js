// Findings: search and filter of the claims; a link to a claim opens it.

const sought = new Map(); // tier -> what is searched for and which verdict is shown, and what applies it; outlives the page being made anew

function startFindings(root = document) {
  for (const section of root.querySelectorAll("#findings .of-tier")) {
    const claims = [...section.querySelectorAll(".claim")];
    const search = section.querySelector(".search");
    const buttons = [...section.querySelectorAll("[data-show]")];
    const left = section.querySelector(".left");
    const asked = sought.get(section.dataset.tier) ?? { words: "", shown: "" };
    sought.set(section.dataset.tier, asked);
    const apply = asked.apply = () => {
      const { shown } = asked;
      if (search.value !== asked.words) search.value = asked.words;
      const words = asked.words.toLowerCase().split(/\s+/).filter(Boolean);
      for (const claim of claims) claim.hidden = (shown !== "" && claim.dataset.verdict !== shown) || !words.every((word) => claim.dataset.words.includes(word));
      const count = claims.filter((claim) => !claim.hidden).length;
      for (const one of buttons) { one.classList.toggle("on", one.dataset.show === shown); one.setAttribute("aria-pressed", String(one.dataset.show === shown)); }
      left.textContent = count === claims.length ? "" : `${count} of ${claims.length}`;
    };
    section.querySelector(".save-claims").replaceChildren(...savers("claims", () => claimsOf(claims.filter((claim) => !claim.hidden))));
    const ask = (changes) => { Object.assign(asked, changes); apply(); if (place.view === "findings") tellFindings(asked); };
    search.addEventListener("input", () => ask({ words: search.value }));
    for (const one of buttons) one.addEventListener("click", () => ask({ shown: one.dataset.show }));
    apply();
  }
}

// Searched and filtered as the address asks; where it doesn't, as before, and the address says so.
function restoreFindings() {
  const { search, verdict } = place.of;
  if (search !== undefined || verdict !== undefined) for (const asked of sought.values()) { Object.assign(asked, { words: search ?? "", shown: verdict ?? "" }); asked.apply(); }
  const asked = sought.get(shownTier());
  if (asked?.words || asked?.shown) tellFindings(asked);
}

function tellFindings(asked) { writeLink({ search: asked.words, verdict: asked.shown }); }

// Claims as lines of cells: what is said of each, its verdict, and what came of its parts.
function claimsOf(claims) {
  const texts = (claim, where) => [...claim.querySelectorAll(`summary ${where}`)].map((node) => node.textContent.trim());
  return [["claim", "it says", "verdict", "found"], ...claims.map((claim) => [...texts(claim, ".id"), ...texts(claim, ".said > span"), ...texts(claim, ".chip"), texts(claim, "small").join("; ")])];
}

// Where no font has Chinese signs, every one of them is the same box: then the notes' own words are left out, and it is said.
function hideWhatNoFontShows(root = document) {
  if (hasChineseFont()) return;
  for (const node of root.querySelectorAll("[lang=zh]")) node.replaceChildren(element("small", { lang: "en" }, ["(The notes say it in Chinese, for which this machine has no font.)"]));
}

function hasChineseFont() { return drawnSign("学") !== drawnSign("問"); }

// A token with the numbers of its Chinese, Japanese and Korean signs in their place where no font has them.
function legible(text) {
  const signs = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\u3000-\u303f\uff00-\uffef]/gu;
  return signs.test(text) && !hasChineseFont() ? text.replace(signs, (sign) => `U+${sign.codePointAt(0).toString(16).toUpperCase()}`) : text;
}

function drawnSign(sign) {
  const canvas = element("canvas", { width: 24, height: 24 });
  const pen = canvas.getContext("2d");
  pen.font = `20px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillText(sign, 2, 20);
  return pen.getImageData(0, 0, 24, 24).data.join();
}

function openClaim(name) {
  const claim = name && document.getElementById(name);
  if (!claim) return;
  const section = claim.closest(".of-tier");
  if (section && section.hidden) chooseTier(section.dataset.tier);
  claim.hidden = false;
  if (claim.tagName === "DETAILS") claim.open = true;
  claim.scrollIntoView();
}

function shownTier() {
  const select = document.getElementById("tier");
  return select ? select.value : document.querySelector(".of-tier")?.dataset.tier;
}

function chooseTier(tier) {
  const select = document.getElementById("tier");
  if (select) select.value = tier;
  for (const part of document.querySelectorAll(".of-tier")) part.hidden = part.dataset.tier !== tier;
}
