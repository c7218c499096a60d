const form = document.getElementById("form");
const state = document.getElementById("state");
const table = document.getElementById("result");

function row(tag, cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const element = document.createElement(tag);
    element.textContent = cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
    tr.append(element);
  }
  return tr;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  state.textContent = "running …";
  table.replaceChildren();
  try {
    const response = await fetch("/api/sql", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: document.getElementById("query").value, limit: 1000 }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    table.append(row("th", answer.columns.map((column) => column.name)));
    for (const cells of answer.rows) table.append(row("td", cells));
    state.textContent = `${answer.row_count} rows in ${answer.elapsed_ms} ms${answer.truncated ? " (truncated)" : ""}`;
  } catch (error) {
    state.textContent = String(error.message ?? error);
  }
});
