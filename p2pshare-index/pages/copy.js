// A button beside each command that copies it. Without scripts, or where the browser does not let pages copy, the
// commands are there all the same.

for (const command of document.querySelectorAll(".command")) {
  const code = command.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  // What is read aloud begins with what is seen.
  const say = (text) => {
    button.textContent = text;
    button.setAttribute("aria-label", `${text}: ${code.textContent}`);
  };
  say("Copy");
  button.addEventListener("click", async () => {
    say((await copied(code)) ? "Copied" : "Selected");
    setTimeout(() => say("Copy"), 2000);
  });
  command.append(button);
}

// Pages over plain HTTP may not write to the clipboard: then the command is selected, for the keyboard to copy.
async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}
