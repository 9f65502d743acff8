//! Questions over several pictures, as MedFrameQA has them.

/// A question over two to five pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameRow {
    /// Unique within the set.
    pub question_id: String,
    /// Questions of one video are not independent.
    pub video_id: String,
    /// Organ system.
    pub system: String,
    /// Organ shown, as the set names it.
    pub organ: String,
    /// What the question is about.
    pub keyword: String,
    /// Modality, as the set names it.
    pub modality: String,
    /// The question.
    pub question: String,
    /// Options in order, without letters.
    pub options: Vec<String>,
    /// Letter of the right one.
    pub correct_answer: String,
    /// Encoded picture files, five at most.
    pub pictures: Vec<Vec<u8>>,
}

/// Most pictures of a question.
pub(crate) const PICTURES: usize = 5;
