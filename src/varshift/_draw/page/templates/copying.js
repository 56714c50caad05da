// Lines to copy: the clipboard where the browser gives it, else by a selection, which works offline.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const button of document.querySelectorAll("button.copy")) {
  const line = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(line.textContent);
    if (!done) getSelection().selectAllChildren(line);
    button.textContent = done ? "copied" : "selected";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
