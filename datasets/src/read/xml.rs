//! As much XML as annotation files need: elements and text. No attributes, document types or
//! entities of a file's own, so nothing can be fetched or blown up.

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

const DEEPEST: usize = 32;

impl Element {
    /// The root element of a document.
    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        let mut open: Vec<Element> = vec![Element::default()];
        let mut rest = document;
        while let Some((text, after)) = rest.split_once('<') {
            if let Some(element) = open.last_mut() {
                element.text.push_str(&unescaped(text));
            }
            let skipped =
                [("!--", "-->"), ("?", "?>"), ("!", ">")].iter().find(|(s, _)| after.starts_with(s));
            if let Some((_, end)) = skipped {
                rest = after.split_once(end).ok_or("a comment or declaration does not end")?.1;
                continue;
            }
            let (tag, after) = after.split_once('>').ok_or("a tag does not end")?;
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                let element = open.pop().filter(|e| e.name == name.trim() && !open.is_empty());
                let element = element.ok_or_else(|| format!("</{}> closes nothing", name.trim()))?;
                if let Some(parent) = open.last_mut() {
                    parent.children.push(element);
                }
                continue;
            }
            let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
            let element = Element { name: name.to_owned(), ..Element::default() };
            if tag.ends_with('/') {
                if let Some(parent) = open.last_mut() {
                    parent.children.push(element);
                }
            } else if open.len() > DEEPEST {
                return Err("elements are nested too deeply".to_owned());
            } else {
                open.push(element);
            }
        }
        let document = open.pop().filter(|_| open.is_empty()).ok_or("an element is not closed")?;
        document.children.into_iter().next().ok_or_else(|| "there is no element".to_owned())
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The trimmed text of the first child of this name.
    pub(crate) fn words(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.trim()).filter(|t| !t.is_empty())
    }
}

fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    // The ampersand last, or "&amp;lt;" would become "<".
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Element;

    #[test]
    fn elements_text_and_escapes() {
        let root = Element::parse(
            "<?xml version=\"1.0\"?><!-- <a> --><a x='1'>\n<b> 1 &lt; 2 &amp;amp; </b><c/><b>two</b></a>",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.words("b"), Some("1 < 2 &amp;"));
        assert_eq!(root.children.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["b", "c", "b"]);
    }

    #[test]
    fn broken_documents_are_errors() {
        for bad in
            ["", "words", "<a>", "<a></b>", "</a>", "<a", "<!-- ", &"<a>".repeat(100), "<a><b></a></b>"]
        {
            assert!(Element::parse(bad).is_err(), "{bad}");
        }
    }
}
