// What is shown, as CSV or LaTeX.

function asCsv(rows) {
  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map((text) => cell(String(text))).join(",")).join("\n") + "\n";
}

// `best(i, j)`: whether a cell is the best of its table, and so in bold.
function asLatex(rows, best = () => false) {
  const signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$", "±": "$\\pm$", "−": "$-$", "×": "$\\times$" };
  const cell = (text) => String(text).replace(/[\\~^<>±−×&%$#_{}]/g, (sign) => signs[sign] ?? `\\${sign}`);
  const lines = rows.map((row, i) => `  ${row.map((text, j) => (best(i, j) ? `\\textbf{${cell(text)}}` : cell(text))).join(" & ")} \\\\`);
  const columns = "l" + "r".repeat(rows[0].length - 1);
  return [`\\begin{tabular}{${columns}}`, "  \\toprule", lines[0], "  \\midrule", ...lines.slice(1), "  \\bottomrule", "\\end{tabular}", ""].join("\n");
}

function save(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Buttons that save what `rows` gives: a line of names, then lines of cells.
function savers(name, rows, best) { return [csvSaver(name, rows), button("LaTeX", () => save(`${name}.tex`, asLatex(rows(), best)))]; }
function csvSaver(name, rows) { return button("CSV", () => save(`${name}.csv`, asCsv(rows()))); }

function cellsOf(table) {
  return [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
}

function boldIn(table) { return (i, j) => table.rows[i].cells[j].querySelector("b") !== null; }
