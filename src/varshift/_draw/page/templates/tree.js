// The tree: what is clean begins folded; a button unfolds it, and a search shows what it finds.
for (const tree of document.querySelectorAll(".tree")) {
  const tools = tree.querySelector(".tools");
  if (!tools) continue;
  const groups = Array.from(tree.querySelectorAll(".group > details"));
  const norms = Array.from(tree.querySelectorAll(".norm"));
  const paths = norms.map((norm) => {
    const line = norm.querySelector(".line");
    return (line.title || line.querySelector(".name").textContent).toLowerCase();
  });
  const all = tools.querySelector(".all");
  const fold = () => {
    const open = all && all.getAttribute("aria-pressed") === "true";
    for (const group of groups) group.open = open || !group.classList.contains("clean");
  };
  tools.hidden = false;
  if (all) {
    all.addEventListener("click", () => {
      const open = all.getAttribute("aria-pressed") !== "true";
      all.setAttribute("aria-pressed", String(open));
      all.textContent = open ? "only what shifts" : "show all";
      fold();
    });
  }
  const search = tools.querySelector("input");
  if (!search) continue;
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    const asked = search.value.trim() !== "";
    norms.forEach((norm, index) => {
      norm.hidden = !words.every((word) => paths[index].includes(word));
    });
    for (const group of groups) {
      const found = group.querySelector(".norm:not([hidden])") !== null;
      group.parentElement.hidden = !found;
      if (asked) group.open = found;
    }
    if (!asked) fold();
    const left = norms.filter((norm) => !norm.hidden).length;
    tools.querySelector("output").textContent = asked ? `${left} of ${norms.length} norms` : "";
  });
}
