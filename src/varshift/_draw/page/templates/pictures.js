// Pictures: what a pointer is told in passing, a click or a touch writes below the picture.
for (const figure of document.querySelectorAll("figure")) {
  figure.addEventListener("click", (event) => {
    const mark = event.target.closest("svg *");
    const hint = mark && mark.querySelector("title");
    const told = figure.querySelector(".told");
    told.hidden = !hint;
    told.textContent = hint ? hint.textContent : "";
  });
}
