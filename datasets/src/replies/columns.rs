//! What the columns of a file mean, as they were given or as their names and the first rows suggest.

use super::error::JoinError;
use super::mapping::Mapping;
use super::options::JoinOptions;
use super::rows::{ReplyRow, names_of, read, telling_rows};
use super::said::is_text;
use super::tools::Tool;
use std::collections::HashSet;
use std::path::Path;

/// What the columns of a file mean.
pub(super) struct Columns {
    pub(super) mapping: Mapping,
    /// Columns that may be the id, the likeliest first.
    pub(super) ids: Vec<String>,
    /// The tool that wrote the file, where that is known.
    pub(super) tool: Option<&'static str>,
}

impl Columns {
    /// Of the file of replies.
    pub(super) fn of(options: &JoinOptions) -> Result<Self, JoinError> {
        let given = &options.columns;
        let rows = telling_rows(&options.replies, given.rows.as_deref()).map_err(JoinError::Replies)?;
        let columns = names_of(&rows);
        let names = || columns.iter().map(String::as_str);
        let tool = Tool::of(&rows).filter(|_| given.reply.is_none());
        let (mut mapping, mut ids) = match tool {
            Some(tool) => {
                let mapping = tool.mapping(&rows);
                let ids = mapping.id.clone().into_iter().collect();
                (mapping, ids)
            }
            None => {
                let first = |name: &str| rows.iter().filter_map(|row| row.get(name)).find(|v| !v.is_null());
                let guess = Mapping::guess_among(names(), |name| first(name).is_none_or(is_text));
                let mapping = match (guess, &given.reply) {
                    (Ok(mapping), _) => mapping,
                    // The other columns are guessed as if the reply's had a name that is known.
                    (Err(_), Some(_)) => {
                        Mapping::guess(names().chain(["reply"])).map_err(JoinError::NoReplyColumn)?
                    }
                    (Err(problem), None) => return Err(JoinError::NoReplyColumn(problem)),
                };
                (mapping, Mapping::ids(names()))
            }
        };
        let set = |to: &mut Option<String>, given: &Option<String>| {
            if given.is_some() {
                to.clone_from(given);
            }
        };
        mapping.reply = given.reply.clone().unwrap_or(mapping.reply);
        ids.retain(|id| *id != mapping.reply);
        set(&mut mapping.id, &given.id);
        set(&mut mapping.gold, &given.gold);
        set(&mut mapping.question, &given.question);
        set(&mut mapping.choices, &given.choices);
        set(&mut mapping.group, &given.group);
        let has = |column: &String| {
            let top = column.split('.').next().unwrap_or(column);
            columns.is_empty() || columns.iter().any(|c| c == column || c == top)
        };
        // The reference of a file of its own may have a name that the replies do not have.
        let elsewhere = options.references.is_some() && mapping.gold.as_ref().is_some_and(|gold| !has(gold));
        if elsewhere || mapping.gold.as_ref() == Some(&mapping.reply) {
            mapping.gold = None;
        }
        for (tag, column) in &given.tags {
            mapping.tags.retain(|(have, _)| have != tag);
            mapping.tags.push((tag.clone(), column.clone()));
        }
        mapping.rows.clone_from(&given.rows);
        mapping.letters.clone_from(&given.letters);
        mapping.sizes = options.places.columns();
        let gold = given.gold.as_ref().filter(|_| !elsewhere);
        let by_name = [given.reply.as_ref(), given.id.as_ref(), gold, given.question.as_ref()];
        let by_name = by_name.into_iter().chain([given.choices.as_ref(), given.group.as_ref()]).flatten();
        if let Some(column) = by_name.chain(&mapping.sizes).find(|column| !has(column)) {
            return Err(JoinError::NoColumn { column: column.clone(), known: columns.join(", ") });
        }
        Ok(Self { mapping, ids, tool: tool.map(|tool| tool.name) })
    }
}

/// The mapping in words.
pub(super) fn described(mapping: &Mapping) -> String {
    let of = |column: &Option<String>| column.clone().unwrap_or_else(|| "–".to_owned());
    let tags: Vec<String> = mapping
        .tags
        .iter()
        .map(|(tag, column)| if tag == column { tag.clone() } else { format!("{tag}={column}") })
        .collect();
    format!(
        "columns: reply {}, reference {}, id {}, question {}, options {}, group {}, tags {}",
        if mapping.reply.is_empty() { "(the value)" } else { &mapping.reply },
        of(&mapping.gold),
        of(&mapping.id),
        of(&mapping.question),
        of(&mapping.choices),
        of(&mapping.group),
        if tags.is_empty() { "–".to_owned() } else { tags.join(", ") }
    )
}

/// References of a file of their own.
pub(super) fn references(file: &Path, options: &JoinOptions) -> Result<Vec<ReplyRow>, JoinError> {
    let first = telling_rows(file, None).map_err(JoinError::References)?;
    let columns = names_of(&first);
    let names = || columns.iter().map(String::as_str);
    let mut mapping = Mapping::guess(names().chain(["reply"])).map_err(JoinError::NoReplyColumn)?;
    let there = |name: &&String| columns.contains(name);
    if options.columns.gold.is_some() {
        mapping.gold.clone_from(&options.columns.gold);
    }
    let given = options.columns.id.clone().filter(|id| columns.contains(id));
    if let Some(question) = options.columns.question.as_ref().filter(there) {
        mapping.question = Some(question.clone());
    }
    let has = |gold: &String| columns.iter().any(|c| c == gold || gold.split('.').next() == Some(c.as_str()));
    if !columns.is_empty() && !mapping.gold.as_ref().is_some_and(has) {
        return Err(JoinError::NoReference {
            columns: format!("the references have the columns {}", columns.join(", ")),
        });
    }
    // A map from id to reference has no columns.
    mapping.reply = mapping.gold.clone().unwrap_or_default();
    mapping.errors.clear();
    let ids = given.map_or_else(|| Mapping::ids(names()), |id| vec![id]);
    let mut rows = Vec::new();
    let mut first = true;
    // The first column that identifies the rows and does not only number them, else the first one.
    for id in ids.iter().filter(|id| Some(*id) != mapping.gold.as_ref()) {
        let by_id = read(file, &Mapping { id: Some(id.clone()), ..mapping.clone() })
            .map_err(JoinError::References)?;
        let numbers = [0, 1].iter().any(|from| by_id.rows.iter().all(|row| row.is_numbered(*from)));
        let distinct: HashSet<&str> = by_id.rows.iter().map(|row| row.id.as_str()).collect();
        let identifies = distinct.len() == by_id.rows.len() && by_id.rows.iter().all(|row| row.named);
        if first || (identifies && !numbers) {
            rows = by_id.rows.clone();
            first = false;
        }
        if identifies && !numbers {
            break;
        }
    }
    if first {
        rows = read(file, &Mapping { id: None, ..mapping.clone() }).map_err(JoinError::References)?.rows;
    }
    if mapping.gold.is_none() {
        for row in &mut rows {
            row.gold = Some(row.reply.clone()).filter(|gold| !gold.trim().is_empty()).into_iter().collect();
        }
    }
    Ok(rows)
}
