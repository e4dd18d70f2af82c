// What is shown, as CSV or LaTeX.

function asCsv(rows) {
  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map((text) => cell(String(text))).join(",")).join("\n") + "\n";
}

function asLatex(rows) {
  const signs = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "−": "$-$", "×": "$\\times$" };
  const cell = (text) => String(text).replace(/[\\~^±−×&%$#_{}]/g, (sign) => signs[sign] ?? `\\${sign}`);
  const line = (row) => `  ${row.map(cell).join(" & ")} \\\\`;
  const [head, ...body] = rows;
  const columns = "l" + "r".repeat(head.length - 1);
  return [`\\begin{tabular}{${columns}}`, "  \\toprule", line(head), "  \\midrule", ...body.map(line), "  \\bottomrule", "\\end{tabular}", ""].join("\n");
}

function save(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Buttons that save what `rows` gives: a line of names, then lines of cells.
function savers(name, rows) {
  return [
    button("CSV", () => save(`${name}.csv`, asCsv(rows()))),
    button("LaTeX", () => save(`${name}.tex`, asLatex(rows()))),
  ];
}

function cellsOf(table) {
  return [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
}
