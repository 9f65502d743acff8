//! Typed reading of settings files; every complaint names the file and the field.

use crate::error::LoadError;
use serde_json::Value;

/// An object of a settings file.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    value: &'a Value,
    file: &'static str,
    path: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(value: &'a Value, file: &'static str) -> Self {
        Self { value, file, path: String::new() }
    }

    pub(crate) fn bad(&self, field: &str, problem: impl Into<String>) -> LoadError {
        LoadError::Field { file: self.file, field: self.name(field), problem: problem.into() }
    }

    fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The value of `field`; `null` counts as absent.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.value.get(field).filter(|v| !v.is_null())
    }

    /// The object in `field`, when there is one.
    pub(crate) fn object(&self, field: &str) -> Option<Fields<'a>> {
        let value = self.get(field).filter(|v| v.is_object())?;
        Some(Fields { value, file: self.file, path: self.name(field) })
    }

    pub(crate) fn need_object(&self, field: &str) -> Result<Fields<'a>, LoadError> {
        self.object(field).ok_or_else(|| self.bad(field, "missing, an object is needed"))
    }

    pub(crate) fn usize_or(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => self.count(field, v),
        }
    }

    pub(crate) fn usize(&self, field: &str) -> Result<usize, LoadError> {
        let value = self.get(field).ok_or_else(|| self.bad(field, "missing, a whole number is needed"))?;
        self.count(field, value)
    }

    fn count(&self, field: &str, value: &Value) -> Result<usize, LoadError> {
        // 2³¹ bounds products of two sizes, so that shapes cannot overflow.
        let number = value.as_u64().filter(|n| *n <= 1 << 31);
        number.map(|n| n as usize).ok_or_else(|| self.bad(field, format!("{value} is not a size")))
    }

    /// A size that may not be zero.
    pub(crate) fn positive(&self, field: &str) -> Result<usize, LoadError> {
        match self.usize(field)? {
            0 => Err(self.bad(field, "must be above 0")),
            n => Ok(n),
        }
    }

    pub(crate) fn f64_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_f64()
            .filter(|v| v.is_finite())
            .ok_or_else(|| self.bad(field, format!("{value} is not a number")))
    }

    /// A number above zero: what is divided by, or a root is taken of.
    pub(crate) fn positive_f64_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        match self.f64_or(field, default)? {
            n if n > 0.0 => Ok(n),
            n => Err(self.bad(field, format!("{n} is not above 0"))),
        }
    }

    pub(crate) fn bool_or(&self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.bad(field, format!("{value} is not true or false")))
    }

    pub(crate) fn text(&self, field: &str) -> Option<&'a str> {
        self.get(field).and_then(Value::as_str)
    }

    /// A list of sizes.
    pub(crate) fn sizes(&self, field: &str) -> Result<Option<Vec<usize>>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| self.bad(field, "not a list of whole numbers"))?;
        list.iter().map(|v| self.count(field, v)).collect::<Result<_, _>>().map(Some)
    }

    /// A list of `N` numbers.
    pub(crate) fn numbers<const N: usize>(
        &self,
        field: &str,
        default: [f64; N],
    ) -> Result<[f64; N], LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let list: Option<Vec<f64>> = value.as_array().and_then(|l| l.iter().map(Value::as_f64).collect());
        let wrong = || self.bad(field, format!("not a list of {N} numbers"));
        list.and_then(|l| <[f64; N]>::try_from(l).ok()).ok_or_else(wrong)
    }
}
