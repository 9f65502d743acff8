//! What a protocol is, and how a conversation under it is played.

use crate::actions::Tools;
use crate::answer;
use crate::request::Request;
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::mask::Rle;
use loupe_core::trace::{Action, Ended, Region};
use loupe_core::{
    Box2, Finding, GenerationLimits, Given, MediaRef, Named, Part, Picture, Reply, Role, Segment, Turn,
};
use serde_json::Value;
use std::sync::Arc;

/// What a model is told, how its actions are read and what it is shown next.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Name as in `loupe list protocols`.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Where it is defined: repository, commit and files, or `loupe`.
    pub source: &'static str,
    /// The dialect of its boxes (see [`loupe_core::dialect`]); `family` for the model's own.
    pub dialect: &'static str,
    /// Actions the model can take.
    pub actions: &'static [&'static str],
    /// Most rounds, where the request does not say.
    pub rounds: usize,
    /// Begins a conversation.
    pub(crate) begin: fn() -> Box<dyn Play>,
}

/// What a protocol works with in one conversation.
pub(crate) struct Scene<'s> {
    pub(crate) request: &'s Request,
    pub(crate) tools: Tools<'s>,
    /// Pictures shown so far, in the order of the ask.
    pub(crate) pictures: &'s mut Vec<Arc<Picture>>,
    /// Where those pictures came from, where another view of them can be had.
    pub(crate) media: &'s mut Vec<Option<MediaRef>>,
    /// Round, from 0.
    pub(crate) round: usize,
    /// No round comes after this one.
    pub(crate) last: bool,
}

impl Scene<'_> {
    /// The picture that an action is about to show.
    pub(crate) fn next(&self) -> Part {
        Part::Picture(self.pictures.len())
    }

    /// The picture with this index, from 0.
    pub(crate) fn picture(&self, index: usize) -> Option<Arc<Picture>> {
        self.pictures.get(index).cloned()
    }
}

/// An action that worked.
pub(crate) struct Acted {
    pub(crate) name: &'static str,
    pub(crate) arguments: Value,
    /// Places looked at: picture of the ask and box on it.
    pub(crate) regions: Vec<(usize, Box2<Given>)>,
    /// What it shows; more than one where a reply may ask for several at once.
    pub(crate) pictures: Vec<Picture>,
    /// Where another view of the picture can be had.
    pub(crate) media: Option<MediaRef>,
    /// The next user turn; it may refer to [`Scene::next`] and the pictures after it.
    pub(crate) say: Vec<Part>,
    /// What failed of several things that were asked for at once.
    pub(crate) failed: Option<String>,
}

impl Acted {
    /// One action and the picture it shows.
    pub(crate) fn one(
        name: &'static str,
        arguments: Value,
        regions: Vec<(usize, Box2<Given>)>,
        picture: Picture,
        say: Vec<Part>,
    ) -> Self {
        Self { name, arguments, regions, pictures: vec![picture], media: None, say, failed: None }
    }
}

/// A mask that a conversation led to.
pub(crate) struct Outlined {
    /// Picture of the ask that it lies on.
    pub(crate) picture: usize,
    pub(crate) segment: Segment,
}

/// What a reply means.
pub(crate) enum Step {
    /// The model's answer.
    Answer(String),
    /// An action to go on with.
    Act(Box<Acted>),
    /// An action that failed, and what the model is told.
    Fail { name: &'static str, arguments: Value, error: String, say: Vec<Part> },
    /// The protocol ends here; why, and the best that can be taken as an answer.
    Stop { why: String, answer: String },
}

impl Step {
    /// A failed action.
    pub(crate) fn fail(name: &'static str, arguments: Value, error: String, say: String) -> Self {
        Self::Fail { name, arguments, error, say: vec![Part::Text(say)] }
    }
}

/// One conversation under a protocol.
pub(crate) trait Play {
    /// The first turns; may change the pictures that are shown.
    ///
    /// # Errors
    /// When the pictures cannot be shown under this protocol.
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String>;

    /// What `reply` means.
    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step;

    /// Bounds that the protocol prescribes.
    fn limit(&self, _limits: &mut GenerationLimits) {}

    /// True when the model sees each round by itself: the system turn, the new user turn, the pictures of that turn.
    fn forgets(&self) -> bool {
        false
    }

    /// The mask that the conversation has led to, if any.
    fn outlined(&self) -> Option<&Outlined> {
        None
    }

    /// The model's words as the conversation goes on with them, where they are not the reply's text.
    fn said(&self, _reply: &Reply) -> Option<String> {
        None
    }
}

/// Plays a whole conversation.
pub(crate) fn play(
    session: &mut Session<'_>,
    request: &Request,
    protocol: &Protocol,
    limits: &GenerationLimits,
) -> Pass {
    let mut play = (protocol.begin)();
    let mut limits = limits.clone();
    play.limit(&mut limits);
    let mut pictures = request.pictures.clone();
    let pass = rounds(session, request, protocol, &limits, play.as_mut(), &mut pictures);
    let outlined = play.outlined().zip(pass.round);
    if let Some((picture, found, round)) =
        outlined.and_then(|(o, round)| Some((pictures.get(o.picture)?, &o.segment, round)))
    {
        let mask = Finding::mask(session.enter(picture), Rle::of(&found.mask), picture.origin.clone());
        session.outline(round, mask.with(None, found.predicted_iou.map(f64::from)));
    }
    pass
}

fn rounds(
    session: &mut Session<'_>,
    request: &Request,
    protocol: &Protocol,
    limits: &GenerationLimits,
    play: &mut dyn Play,
    pictures: &mut Vec<Arc<Picture>>,
) -> Pass {
    let rounds = request.budget.rounds.unwrap_or(protocol.rounds).max(1);
    let mut media: Vec<Option<MediaRef>> =
        (0..pictures.len()).map(|n| request.media.get(n).cloned()).collect();
    let mut best = Pass { answer: String::new(), round: None, ended: Ended::Rounds(rounds) };
    let mut follows = None;
    let mut turns = {
        let mut scene = Scene {
            request,
            tools: session.tools(),
            pictures,
            media: &mut media,
            round: 0,
            last: rounds == 1,
        };
        match play.open(&mut scene) {
            Ok(turns) => turns,
            Err(problem) => return Pass { ended: Ended::Failed(problem), ..best },
        }
    };
    let system: Vec<Turn> = turns.iter().filter(|turn| turn.role == Role::System).cloned().collect();
    for round in 0..rounds {
        let purpose = format!("round {}", round + 1);
        let mut shown = pictures.clone();
        if play.forgets() {
            shown = only_shown(&mut turns, pictures);
        }
        let ask = NewAsk { purpose, follows, turns, pictures: shown, limits: limits.clone() };
        let number = match session.ask(Who::First, ask) {
            Ok(number) => number,
            Err(ended) => return Pass { ended, ..best },
        };
        let Some(reply) = session.reply(number).cloned() else { break };
        best = Pass { answer: answer::of_reply(&reply.text).to_owned(), round: Some(number), ..best };
        let said = play.said(&reply);
        if let Some(on_record) = session.round_mut(number) {
            on_record.said = said;
        }
        let last = round + 1 == rounds;
        let step = {
            let mut scene =
                Scene { request, tools: session.tools(), pictures, media: &mut media, round, last };
            play.step(&mut scene, &reply)
        };
        let say = match step {
            Step::Answer(answer) => return Pass { answer, ended: Ended::Answered, ..best },
            Step::Stop { why, answer } => {
                if let Some(on_record) = session.round_mut(number) {
                    on_record.error = Some(why.clone());
                }
                return Pass { answer, ended: Ended::Stopped(why), ..best };
            }
            Step::Act(acted) => {
                let regions = acted.regions.iter().filter_map(|(index, region)| {
                    let region = pictures.get(*index)?.origin.source_from_self.boxed(*region);
                    Some(Region { picture: session.enter(pictures.get(*index)?), region })
                });
                let regions = regions.collect();
                let mut result = None;
                for picture in acted.pictures {
                    let picture = Arc::new(picture);
                    let number = session.enter(&picture);
                    result = result.or(Some(number));
                    pictures.push(picture);
                    media.push(acted.media.clone());
                }
                if let Some(on_record) = session.round_mut(number) {
                    let name = acted.name.to_owned();
                    on_record.action = Some(Action { name, arguments: acted.arguments, regions, result });
                    on_record.error = acted.failed;
                }
                acted.say
            }
            Step::Fail { name, arguments, error, say } => {
                if let Some(on_record) = session.round_mut(number) {
                    on_record.action =
                        Some(Action { name: name.to_owned(), arguments, regions: Vec::new(), result: None });
                    on_record.error = Some(error);
                }
                say
            }
        };
        let say = Turn { role: Role::User, parts: say };
        if play.forgets() {
            turns = system.iter().cloned().chain([say]).collect();
        } else {
            follows = Some(number);
            turns = vec![say];
        }
    }
    best
}

/// The pictures that `turns` show, which are made to count along them.
fn only_shown(turns: &mut [Turn], pictures: &[Arc<Picture>]) -> Vec<Arc<Picture>> {
    let mut shown = Vec::new();
    for part in turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Picture(index) = part
            && let Some(picture) = pictures.get(*index)
        {
            *index = shown.len();
            shown.push(Arc::clone(picture));
        }
    }
    shown
}

/// A system turn and a user turn.
pub(crate) fn system_and_user(system: &str, parts: Vec<Part>) -> Vec<Turn> {
    vec![Turn::text(Role::System, system), Turn { role: Role::User, parts }]
}

/// Four numbers out of a JSON list.
pub(crate) fn four(value: &Value) -> Option<[f64; 4]> {
    let list = value.as_array()?;
    let numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
    <[f64; 4]>::try_from(numbers).ok().filter(|_| list.len() == 4)
}

/// The name of a value's type in Python, for words that are a source's own.
pub(crate) fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A box on the picture given.
pub(crate) fn given([x0, y0, x1, y1]: [f64; 4]) -> Box2<Given> {
    Box2::new(x0, y0, x1, y1)
}

impl Named for Protocol {
    fn name(&self) -> &str {
        self.name
    }
}
