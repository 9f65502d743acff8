//! Templates of prompts within bounds. A template is a program that comes with weights or from a user; what it may cost is counted.
//!
//! minijinja counts instructions, but one instruction may double a string, and a value may hold itself. So the
//! instructions that make or store values are replaced by calls of the functions below, which count what they
//! make against one budget, and everything runs on a thread with a stack of its own, where a panic is an error.

use crate::guard::caught;
use minijinja::machinery::{
    CompiledTemplate, Instruction, Instructions, TemplateConfig, Token, eval, make_string_output, tokenize,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest template; published ones have some tens of kilobytes.
const MOST_SOURCE: usize = 512 << 10;
/// Most tokens of one `{{ … }}` or `{% … %}`, most of them, and most `elif`s: parsing goes as deep.
const MOST_TOKENS: usize = 4_000;
const MOST_TAGS: usize = 20_000;
const MOST_BRANCHES: usize = 500;
/// Deepest blocks within blocks, and values within values.
const MOST_DEPTH: usize = 100;
/// Bytes of text and items of lists that all values together may have.
const BUDGET: u64 = 256 << 20;
/// What looking at a value costs.
const VALUE_COST: u64 = 64;
/// Bytes of text that constants alone may be multiplied to.
const MOST_CONSTANT: u64 = 1 << 20;
/// A number that is given to a filter (a width, a count) costs as much.
const SMALL_NUMBER: u64 = 256;
/// Digits of a width in a format string.
const MOST_DIGITS: usize = 4;
/// Stack of the thread that a template is parsed and run on.
const STACK: usize = 64 << 20;

const CONCAT: &str = "joined text";
const ADD: &str = "sum";
const MUL: &str = "product";
const CHECK: &str = "checked";
const EQUAL: &str = "equal without case";
const DIFFERENT: &str = "different without case";
const WITHIN: &str = "within without case";

/// The filters, and the functions that apply them within bounds: no name of a template has a blank.
const FILTERS: &[(&str, &str)] = &[
    ("abs", "abs filter"),
    ("attr", "attr filter"),
    ("batch", "batch filter"),
    ("bool", "bool filter"),
    ("capitalize", "capitalize filter"),
    ("chain", "chain filter"),
    ("d", "d filter"),
    ("default", "default filter"),
    ("dictsort", "dictsort filter"),
    ("e", "e filter"),
    ("escape", "escape filter"),
    ("first", "first filter"),
    ("float", "float filter"),
    ("format", "format filter"),
    ("groupby", "groupby filter"),
    ("indent", "indent filter"),
    ("int", "int filter"),
    ("items", "items filter"),
    ("join", "join filter"),
    ("last", "last filter"),
    ("length", "length filter"),
    ("count", "count filter"),
    ("lines", "lines filter"),
    ("list", "list filter"),
    ("lower", "lower filter"),
    ("map", "map filter"),
    ("max", "max filter"),
    ("min", "min filter"),
    ("pprint", "pprint filter"),
    ("reject", "reject filter"),
    ("rejectattr", "rejectattr filter"),
    ("replace", "replace filter"),
    ("reverse", "reverse filter"),
    ("round", "round filter"),
    ("safe", "safe filter"),
    ("select", "select filter"),
    ("selectattr", "selectattr filter"),
    ("slice", "slice filter"),
    ("sort", "sort filter"),
    ("split", "split filter"),
    ("string", "string filter"),
    ("sum", "sum filter"),
    ("title", "title filter"),
    ("tojson", "tojson filter"),
    ("trim", "trim filter"),
    ("unique", "unique filter"),
    ("upper", "upper filter"),
    ("urlencode", "urlencode filter"),
    ("zip", "zip filter"),
];

/// How the reason begins where a template exceeds a bound; nothing of what it is filled with follows.
pub const TOO_MUCH: &str = "it makes too much: ";

fn too_much(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{TOO_MUCH}{what}; a template makes a prompt"))
}

/// What a template has made so far.
#[derive(Clone, Default)]
struct Spent(Arc<AtomicU64>);

impl Spent {
    fn spend(&self, amount: u64) -> Result<(), Error> {
        let before = self.0.fetch_add(amount.min(BUDGET), Ordering::Relaxed);
        if before.saturating_add(amount) > BUDGET {
            Err(too_much("text or values without end"))
        } else {
            Ok(())
        }
    }

    /// Counts a value with everything in it, and refuses one that goes too deep, as one that holds itself does.
    /// Returns the bytes of text and the number of items.
    fn value(&self, value: &Value, depth: usize) -> Result<u64, Error> {
        if depth > MOST_DEPTH {
            return Err(too_much("values within values without end"));
        }
        let text = value.as_str().map_or(0, str::len) as u64;
        self.spend(VALUE_COST + text / 16)?;
        let mut all = text.max(8);
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    all = all.saturating_add(2 + self.value(&item, depth + 1)?);
                }
            }
            ValueKind::Map => {
                for key in value.try_iter()? {
                    let item = value.get_item(&key).unwrap_or_default();
                    all =
                        all.saturating_add(4 + self.value(&key, depth + 1)? + self.value(&item, depth + 1)?);
                }
            }
            _ => {}
        }
        Ok(all)
    }

    fn values(&self, values: &[Value]) -> Result<u64, Error> {
        values.iter().try_fold(0u64, |sum, value| Ok(sum.saturating_add(self.value(value, 0)?)))
    }
}

/// A value made twice as long or longer by adding; lists are put together at once, never put off.
fn sum(spent: &Spent, a: &Value, b: &Value) -> Result<Value, Error> {
    let lists = |v: &Value| matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable);
    if lists(a) && lists(b) {
        let length = a.len().unwrap_or(0).saturating_add(b.len().unwrap_or(0));
        spent.spend((length as u64).saturating_mul(VALUE_COST))?;
        return Ok(a.try_iter()?.chain(b.try_iter()?).collect());
    }
    if let (Some(x), Some(y)) = (a.as_str(), b.as_str()) {
        spent.spend((x.len() + y.len()) as u64)?;
        return Ok(Value::from(format!("{x}{y}")));
    }
    number(a, b, "+", |x, y| x.checked_add(y), |x, y| x + y)
}

fn product(spent: &Spent, a: &Value, b: &Value) -> Result<Value, Error> {
    for (what, times) in [(a, b), (b, a)] {
        let lists = matches!(what.kind(), ValueKind::Seq | ValueKind::Iterable);
        if lists || what.as_str().is_some() {
            let negative = times.as_i64().is_some_and(|n| n < 0);
            let times = if negative { Some(0) } else { times.as_usize() };
            let times = times.ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, "text and lists are multiplied with whole numbers")
            })?;
            let length = match what.as_str() {
                Some(text) => text.len() as u64,
                None => (what.len().unwrap_or(0) as u64).saturating_mul(VALUE_COST),
            };
            spent.spend(length.max(1).saturating_mul(times as u64))?;
            return Ok(match what.as_str() {
                Some(text) => Value::from(text.repeat(times)),
                None => {
                    let items: Vec<Value> = what.try_iter()?.collect();
                    (0..times).flat_map(|_| items.iter().cloned()).collect()
                }
            });
        }
    }
    number(a, b, "*", |x, y| x.checked_mul(y), |x, y| x * y)
}

fn number(
    a: &Value,
    b: &Value,
    sign: &str,
    whole: impl Fn(i128, i128) -> Option<i128>,
    real: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let failed = || {
        let problem = format!("{} {sign} {} is not possible", a.kind(), b.kind());
        Error::new(ErrorKind::InvalidOperation, problem)
    };
    let is_whole = |v: &Value| v.is_integer() || v.kind() == ValueKind::Bool;
    let int = |v: &Value| {
        if v.kind() == ValueKind::Bool {
            Some(i128::from(v.is_true()))
        } else {
            i128::try_from(v.clone()).ok()
        }
    };
    if is_whole(a) && is_whole(b) {
        let result = int(a).zip(int(b)).and_then(|(x, y)| whole(x, y)).ok_or_else(failed)?;
        return Ok(i64::try_from(result).map_or_else(|_| Value::from(result), Value::from));
    }
    let float =
        |v: &Value| if is_whole(v) { int(v).map(|n| n as f64) } else { f64::try_from(v.clone()).ok() };
    float(a).zip(float(b)).map(|(x, y)| Value::from(real(x, y))).ok_or_else(failed)
}

/// Applies a filter whose input, numbers and result are counted.
fn filtered(spent: &Spent, name: &str, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let text = spent.values(args)?;
    for value in args {
        let number = value.as_i64().unwrap_or(0).unsigned_abs();
        if number > SMALL_NUMBER {
            // A width is there once a line, a count once an item.
            spent.spend(number.saturating_mul(if matches!(name, "indent" | "map") {
                text.max(1)
            } else {
                1
            }))?;
        }
    }
    if let Some(options) = args.last().filter(|v| v.is_kwargs()) {
        for key in options.try_iter()? {
            let number = options.get_item(&key)?.as_i64().unwrap_or(0).unsigned_abs();
            if number > SMALL_NUMBER {
                return Err(too_much("indents or widths without end"));
            }
        }
    }
    match (name, args) {
        ("format", [format, ..]) => {
            let format = format.as_str().unwrap_or_default();
            let digits = |part: &str| part.len() > MOST_DIGITS;
            if format.split(|c: char| !c.is_ascii_digit()).any(digits) {
                return Err(too_much("columns without end"));
            }
        }
        ("replace", [from, what, with, ..]) => {
            if let (Some(from), Some(what), Some(with)) = (from.as_str(), what.as_str(), with.as_str()) {
                let times = if what.is_empty() { from.len() + 1 } else { from.len() / what.len() };
                spent.spend((times as u64).saturating_mul(with.len() as u64))?;
            }
        }
        ("join", [list, with, ..]) => {
            let (items, with) = (list.len().unwrap_or(0) as u64, with.as_str().map_or(0, str::len) as u64);
            spent.spend(items.saturating_mul(with))?;
        }
        _ => {}
    }
    // It applies another filter to every item.
    if name == "map" && args.len() > 2 {
        spent.spend(text.saturating_mul(text))?;
    }
    spent.spend(text)?;
    let made = state.apply_filter(name, args)?;
    spent.value(&made, 0)?;
    Ok(made)
}

/// Are two values equal, texts without regard to letter case?
fn alike(a: &Value, b: &Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(x), Some(y)) => x.to_lowercase() == y.to_lowercase(),
        _ => a == b,
    }
}

/// Stands a value in a text, a list or a map, texts without regard to letter case?
fn within(part: &Value, of: &Value) -> Result<bool, Error> {
    match (part.as_str(), of.as_str()) {
        (Some(part), Some(of)) => Ok(of.to_lowercase().contains(&part.to_lowercase())),
        _ if of.is_undefined() || of.is_none() => Ok(false),
        _ => Ok(of.try_iter()?.any(|one| alike(part, &one))),
    }
}

/// Adds the functions that compiled templates are made to call, and what prints values.
fn install(environment: &mut Environment<'_>, spent: &Spent) {
    let own = spent.clone();
    environment.add_function(CONCAT, move |a: &Value, b: &Value| -> Result<Value, Error> {
        own.spend(own.value(a, 0)?.saturating_add(own.value(b, 0)?))?;
        Ok(Value::from(format!("{a}{b}")))
    });
    let own = spent.clone();
    environment.add_function(ADD, move |a: &Value, b: &Value| sum(&own, a, b));
    let own = spent.clone();
    environment.add_function(MUL, move |a: &Value, b: &Value| product(&own, a, b));
    // Both sides are copied in small letters.
    let compared = |spent: &Spent| {
        let own = spent.clone();
        move |a: &Value, b: &Value| own.spend(own.value(a, 0)?.saturating_add(own.value(b, 0)?))
    };
    let spend = compared(spent);
    environment.add_function(EQUAL, move |a: &Value, b: &Value| spend(a, b).map(|()| alike(a, b)));
    let spend = compared(spent);
    environment.add_function(DIFFERENT, move |a: &Value, b: &Value| spend(a, b).map(|()| !alike(a, b)));
    let spend = compared(spent);
    environment.add_function(WITHIN, move |part: &Value, of: &Value| {
        spend(part, of)?;
        within(part, of)
    });
    let own = spent.clone();
    environment.add_filter(CHECK, move |value: Value| -> Result<Value, Error> {
        own.value(&value, 0)?;
        Ok(value)
    });
    for (filter, function) in FILTERS {
        let own = spent.clone();
        environment.add_function(*function, move |state: &mut State<'_, '_>, args: Rest<Value>| {
            filtered(&own, filter, state, &args)
        });
    }
    // It would print everything there is.
    environment.add_function("debug", || -> Result<Value, Error> {
        Err(Error::new(ErrorKind::UnknownFunction, "debug() is not for templates of prompts"))
    });
    let own = spent.clone();
    environment.set_formatter(move |out, state, value| {
        own.spend(own.value(value, 0)?)?;
        minijinja::escape_formatter(out, state, value)
    });
}

/// The same instructions, with those replaced that make, store or print values. Jumps lead where they led.
fn bounded<'s>(from: &Instructions<'s>, ignores_case: bool) -> Instructions<'s> {
    let mut all = Vec::new();
    while let Some(instruction) = from.get(all.len() as u32) {
        let call = |name| vec![Instruction::CallFunction(name, Some(2))];
        let check = || Instruction::ApplyFilter(CHECK, Some(1), u8::MAX);
        all.push(match instruction {
            Instruction::StringConcat => call(CONCAT),
            Instruction::Add => call(ADD),
            Instruction::Mul => call(MUL),
            Instruction::Eq if ignores_case => call(EQUAL),
            Instruction::Ne if ignores_case => call(DIFFERENT),
            Instruction::In if ignores_case => call(WITHIN),
            Instruction::ApplyFilter(name, count, _) => {
                match FILTERS.iter().find(|(filter, _)| filter == name) {
                    Some((_, function)) => vec![Instruction::CallFunction(function, *count)],
                    None => vec![instruction.clone()],
                }
            }
            Instruction::EmitRaw(text) => {
                vec![Instruction::LoadConst(Value::from_safe_string((*text).to_owned())), Instruction::Emit]
            }
            Instruction::StoreLocal(_) => vec![check(), instruction.clone()],
            // The value lies below what it is stored in.
            Instruction::SetAttr(_) => {
                vec![Instruction::Swap, check(), Instruction::Swap, instruction.clone()]
            }
            other => vec![other.clone()],
        });
    }
    let mut starts = vec![0u32];
    for group in &all {
        starts.push(starts.last().copied().unwrap_or(0) + group.len() as u32);
    }
    let to = |target: u32| starts.get(target as usize).copied().unwrap_or(u32::MAX);
    let mut out = Instructions::new(from.name(), from.source());
    for (at, group) in all.into_iter().enumerate() {
        let line = from.get_line(at as u32).and_then(|line| u16::try_from(line).ok()).unwrap_or(0);
        for instruction in group {
            let moved = match instruction {
                Instruction::Iterate(t) => Instruction::Iterate(to(t)),
                Instruction::Jump(t) => Instruction::Jump(to(t)),
                Instruction::JumpIfFalse(t) => Instruction::JumpIfFalse(to(t)),
                Instruction::JumpIfFalseOrPop(t) => Instruction::JumpIfFalseOrPop(to(t)),
                Instruction::JumpIfTrueOrPop(t) => Instruction::JumpIfTrueOrPop(to(t)),
                Instruction::BuildMacro(name, t, flags) => Instruction::BuildMacro(name, to(t), flags),
                other => other,
            };
            out.add_with_line(moved, line);
        }
    }
    out
}

/// How deep parsing and running will go is told by the tokens.
fn check_tokens(source: &str, syntax: &SyntaxConfig) -> Result<(), Error> {
    let problem = |what: &str| Err(Error::new(ErrorKind::SyntaxError, format!("{what} for a template")));
    if source.len() > MOST_SOURCE {
        return problem("it is too long");
    }
    let (mut tags, mut tokens, mut branches, mut depth, mut first) = (0, 0, 0, 0usize, false);
    // Constants are multiplied when the template is compiled.
    let (mut words, mut product, mut multiplies) = (0u64, 1u64, false);
    for token in tokenize(source, false, syntax.clone()) {
        tokens += 1;
        let (token, _) = token?;
        let begins = std::mem::replace(&mut first, matches!(token, Token::BlockStart));
        match token {
            Token::VariableStart | Token::BlockStart => {
                (tags, tokens) = (tags + 1, 0);
                (words, product, multiplies) = (0, 1, false);
            }
            Token::Str(text) => words += text.len() as u64,
            Token::String(text) => words += text.len() as u64,
            Token::Int(n) => product = product.saturating_mul(n.max(1)),
            Token::Mul => multiplies = true,
            Token::Ident("elif") if begins => branches += 1,
            Token::Ident("if" | "for" | "macro" | "call" | "filter" | "with" | "block") if begins => {
                depth += 1;
            }
            Token::Ident(name) if begins && name.starts_with("end") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if tags > MOST_TAGS || tokens > MOST_TOKENS || branches > MOST_BRANCHES {
            return problem("it has too many parts");
        }
        if depth > MOST_DEPTH {
            return problem("it is nested too deeply");
        }
        if multiplies && words > 0 && words.saturating_mul(product) > MOST_CONSTANT {
            return problem("it multiplies a text too often");
        }
    }
    Ok(())
}

/// Runs `work` where there is stack enough and a panic is an error.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let failed = |problem: &str| Error::new(ErrorKind::InvalidOperation, problem.to_owned());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || caught(work));
        let thread = thread.map_err(|_| failed("there is no memory for a thread to run it on"))?;
        match thread.join() {
            Ok(Some(result)) => result,
            _ => Err(failed("the template engine could not cope with it")),
        }
    })
}

/// A template that was parsed once and is compiled each time it runs.
pub struct Sandbox {
    source: String,
    syntax: SyntaxConfig,
    ignores_case: bool,
    /// Adds what templates may call.
    furnish: fn(&mut Environment<'_>),
}

const NAME: &str = "template";

impl Sandbox {
    /// Checks that `source` can be compiled.
    ///
    /// # Errors
    /// When it cannot, or is too large or too deep.
    pub fn new(
        source: String,
        syntax: SyntaxConfig,
        furnish: fn(&mut Environment<'_>),
    ) -> Result<Self, Error> {
        check_tokens(&source, &syntax)?;
        let own = Self { source, syntax, ignores_case: false, furnish };
        apart(|| own.compiled().map(drop))?;
        Ok(own)
    }

    /// `==`, `!=` and `in` compare texts without regard to letter case.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self { ignores_case: true, ..self }
    }

    /// The names that the template uses and does not set, in minijinja's own syntax.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<HashSet<String>, Error> {
        apart(|| Ok(Environment::new().template_from_str(&self.source)?.undeclared_variables(false)))
    }

    fn compiled(&self) -> Result<CompiledTemplate<'_>, Error> {
        let config = TemplateConfig {
            syntax_config: self.syntax.clone(),
            default_auto_escape: Arc::new(|_| AutoEscape::None),
        };
        CompiledTemplate::new(NAME, &self.source, &config)
    }

    /// The text that the template writes for these values.
    ///
    /// # Errors
    /// When it fails, or exceeds a bound.
    pub fn render(&self, values: Value) -> Result<String, Error> {
        apart(move || {
            let spent = Spent::default();
            let mut environment = Environment::new();
            environment.set_fuel(Some(1_000_000));
            (self.furnish)(&mut environment);
            install(&mut environment, &spent);
            let compiled = self.compiled()?;
            let instructions = bounded(&compiled.instructions, self.ignores_case);
            let blocks = compiled
                .blocks
                .iter()
                .map(|(name, block)| (*name, bounded(block, self.ignores_case)))
                .collect();
            let mut out = String::new();
            let mut output = make_string_output(&mut out);
            eval(&environment, &instructions, values, &blocks, &mut output, AutoEscape::None)?;
            drop(output);
            Ok(out)
        })
    }
}
