//! What the columns of a file mean, as they were given or as their names and the first rows suggest.

use super::error::JoinError;
use super::mapping::Mapping;
use super::options::JoinOptions;
use super::rows::{ReplyRow, first_rows, names_of, read};
use super::said::is_text;
use super::tools::Tool;
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
        let rows = first_rows(&options.replies, given.rows.as_deref()).map_err(JoinError::Replies)?;
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
    let first = first_rows(file, None).map_err(JoinError::References)?;
    let columns = names_of(&first);
    let names = || columns.iter().map(String::as_str);
    let mut mapping = Mapping::guess(names().chain(["reply"])).map_err(JoinError::NoReplyColumn)?;
    let there = |name: &&String| columns.contains(name);
    if options.columns.gold.is_some() {
        mapping.gold.clone_from(&options.columns.gold);
    }
    if let Some(id) = options.columns.id.as_ref().filter(there) {
        mapping.id = Some(id.clone());
    }
    if let Some(question) = options.columns.question.as_ref().filter(there) {
        mapping.question = Some(question.clone());
    }
    if !columns.is_empty() && mapping.gold.as_ref().is_none_or(|gold| !columns.contains(gold)) {
        return Err(JoinError::NoReference {
            columns: format!("the references have the columns {}", columns.join(", ")),
        });
    }
    // A map from id to reference has no columns.
    mapping.reply = mapping.gold.clone().unwrap_or_default();
    mapping.errors.clear();
    let rows = read(file, &mapping).map_err(JoinError::References)?.rows;
    let bare = mapping.gold.is_none();
    let whole = |mut row: ReplyRow| {
        if bare {
            row.gold = Some(row.reply.clone()).filter(|gold| !gold.trim().is_empty()).into_iter().collect();
        }
        row
    };
    Ok(rows.into_iter().map(whole).collect())
}
