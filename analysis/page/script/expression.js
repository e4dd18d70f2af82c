// Filters such as  mixer == "attention" && test.accuracy > .9  made into functions of a run; nothing is ever evaluated as code.
//   or: ||  and: &&  not: !  compare: == != < <= > >=  contains: ~  one of: in ["a", "b"]  reckon: + - * /
// A name is a column (in `backquotes` where it has signs or blanks); null is what a run has not, and compares with nothing.

class ExpressionError extends Error {}

const TOKEN = /\s*(?:(\d*\.?\d+(?:[eE][-+]?\d+)?)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`([^`]*)`|([A-Za-z_][\w.-]*)|(\|\||&&|==|!=|<=|>=|[<>!~()[\],+*/-]))/y;
const COMPARE = {
  "==": (a, b) => a === b, "!=": (a, b) => a !== b,
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "~": (a, b) => String(a).toLowerCase().includes(String(b).toLowerCase()),
};
const WORDS = { true: "true", false: "false", null: null };

// The filter of a text over a store's runs: run -> whether it is shown. A text without any sign is looked for in the names.
function filterOf(text, store) {
  const trimmed = text.trim();
  if (!trimmed) return () => true;
  if (!/["'`=<>!~&|()]/.test(trimmed) && !store.column(trimmed)) {
    const words = trimmed.toLowerCase().split(/\s+/);
    const lower = store.names.map((name) => name.toLowerCase());
    return (run) => words.every((word) => lower[run].includes(word));
  }
  const value = new Parser(tokens(trimmed), store).whole();
  return (run) => isTrue(value(run));
}

function isTrue(value) { return value !== null && value !== false && value !== "false" && value !== 0 && value !== ""; }

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  let end = 0;
  for (let match; end < text.length && (match = TOKEN.exec(text)); end = TOKEN.lastIndex) {
    const [, number, double, single, quoted, name, sign] = match;
    const string = double ?? single;
    if (number !== undefined) found.push({ literal: Number(number) });
    else if (string !== undefined) found.push({ literal: string.replace(/\\(.)/g, "$1") });
    else if (quoted !== undefined) found.push({ name: quoted });
    else if (name !== undefined) found.push(Object.hasOwn(WORDS, name) ? { literal: WORDS[name] } : name === "in" ? { sign: "in" } : { name });
    else found.push({ sign });
  }
  if (end < text.trimEnd().length) throw new ExpressionError(`can't read ${text.slice(end).trim().slice(0, 20)}`);
  return found;
}

class Parser {
  constructor(list, store) { Object.assign(this, { list, store, next: 0 }); }
  whole() {
    const value = this.either();
    if (this.next < this.list.length) throw new ExpressionError(`what follows ${this.list[this.next - 1].name ?? "that"} needs a sign before it`);
    return value;
  }
  takes(...signs) {
    const sign = this.list[this.next]?.sign;
    if (sign === undefined || !signs.includes(sign)) return null;
    this.next += 1;
    return sign;
  }
  needs(sign) { if (!this.takes(sign)) throw new ExpressionError(`${sign} is missing`); }
  either() {
    let left = this.both();
    while (this.takes("||")) { const [a, b] = [left, this.both()]; left = (run) => isTrue(a(run)) || isTrue(b(run)); }
    return left;
  }
  both() {
    let left = this.not();
    while (this.takes("&&")) { const [a, b] = [left, this.not()]; left = (run) => isTrue(a(run)) && isTrue(b(run)); }
    return left;
  }
  not() {
    if (!this.takes("!")) return this.comparison();
    const value = this.not();
    return (run) => !isTrue(value(run));
  }
  comparison() {
    const left = this.sum();
    if (this.takes("in")) {
      this.needs("[");
      const options = [];
      do options.push(this.sum()); while (this.takes(","));
      this.needs("]");
      return (run) => { const value = left(run); return value !== null && options.some((option) => option(run) === value); };
    }
    const sign = this.takes(...Object.keys(COMPARE));
    if (!sign) return left;
    const right = this.sum();
    const isNull = left.literal === null || right.literal === null;
    return (run) => {
      const [a, b] = [left(run), right(run)];
      return (isNull || (a !== null && b !== null)) && COMPARE[sign](a, b);
    };
  }
  sum() { return this.chain(["+", "-"], () => this.product()); }
  product() { return this.chain(["*", "/"], () => this.one()); }
  chain(signs, part) {
    let left = part();
    for (let sign; (sign = this.takes(...signs)); ) {
      const [a, b] = [left, part()];
      left = (run) => {
        const [x, y] = [a(run), b(run)];
        if (typeof x !== "number" || typeof y !== "number") return null;
        return sign === "+" ? x + y : sign === "-" ? x - y : sign === "*" ? x * y : x / y;
      };
    }
    return left;
  }
  one() {
    if (this.takes("(")) { const value = this.either(); this.needs(")"); return value; }
    if (this.takes("-")) { const value = this.one(); return (run) => { const x = value(run); return typeof x === "number" ? -x : null; }; }
    const token = this.list[this.next++];
    if (token === undefined) throw new ExpressionError("something is missing at the end");
    if ("literal" in token) return Object.assign(() => token.literal, { literal: token.literal });
    if (token.name === undefined) throw new ExpressionError(`${token.sign} stands where a column or a value should`);
    if (token.name === "name") return (run) => this.store.names[run];
    const column = this.store.column(token.name);
    if (!column) throw new ExpressionError(`no column ${token.name}${nearest(token.name, this.store)}`);
    return (run) => column.value(run);
  }
}

function nearest(name, store) {
  const last = name.split(".").pop().toLowerCase();
  const like = store.columns.map((column) => column.name).filter((other) => other.toLowerCase().includes(last) || name.includes(other));
  return like.length ? `; there is ${like.slice(0, 4).join(", ")}` : "";
}
