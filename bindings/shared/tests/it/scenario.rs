//! The scenario of all languages, by name: what the modules for Python and Node call.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nakivo_bindings::api::{Api, MethodDescription, describe};
use nakivo_bindings::{Answer, Arguments, Class, NakivoError, new};
use serde_json::{Map, Value};

/// What an earlier step came to.
#[derive(Debug, Clone)]
enum Held {
    Data(Value),
    Object(Arc<dyn Class>),
}

#[derive(Debug)]
struct Scenario {
    api: Api,
    directory: String,
    held: BTreeMap<String, Held>,
}

impl Scenario {
    /// `value` with what earlier steps came to put in.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
                Some(reference) => self.data(reference),
                None => Value::String(text.replace("${dir}", &self.directory)),
            },
            Value::Array(values) => values.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(fields) => {
                let resolved = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.resolved(value)));
                Value::Object(resolved.collect())
            }
            other => other.clone(),
        }
    }

    fn data(&self, reference: &str) -> Value {
        let (name, path) = reference.split_once('.').unwrap_or((reference, ""));
        match &self.held[name] {
            Held::Data(data) => at(data, path).clone(),
            Held::Object(object) => panic!("{name} is an object: {object:?}"),
        }
    }

    fn object(&self, name: &str) -> Arc<dyn Class> {
        match &self.held[name] {
            Held::Object(object) => Arc::clone(object),
            Held::Data(data) => panic!("{name} is data: {data}"),
        }
    }

    fn method(&self, class: &str, method: &str) -> MethodDescription {
        let class = self.api.classes.iter().find(|known| known.name == class).unwrap();
        let methods = class.constructors.iter().chain(&class.methods);
        methods
            .clone()
            .find(|known| known.name == method)
            .unwrap()
            .clone()
    }

    /// What the step gives, as the method takes it: the fields of options gathered, objects and content apart.
    fn arguments(&self, method: &MethodDescription, given: &Map<String, Value>) -> Arguments {
        let mut rest = given.clone();
        let mut data = Map::new();
        let (mut objects, mut bytes) = (Vec::new(), Vec::new());
        for argument in &method.arguments {
            let kind = argument.kind.as_str();
            let fields = self
                .api
                .records
                .get(kind)
                .and_then(|schema| schema["properties"].as_object());
            if let Some(fields) = fields {
                let own: Map<String, Value> = fields
                    .keys()
                    .filter_map(|field| Some((field.clone(), self.resolved(&rest.remove(field)?))))
                    .collect();
                data.insert(argument.name.to_owned(), Value::Object(own));
            } else if let Some(value) = rest.remove(argument.name) {
                let plain = kind.trim_start_matches("Option<").trim_end_matches('>');
                if self.api.classes.iter().any(|class| class.name == plain) {
                    let name = value.as_str().unwrap().trim_start_matches('$').to_owned();
                    objects.push((argument.name, self.object(&name)));
                } else if kind == "Bytes" {
                    bytes.push((argument.name, STANDARD.decode(value.as_str().unwrap()).unwrap()));
                } else {
                    data.insert(argument.name.to_owned(), self.resolved(&value));
                }
            }
        }
        assert!(rest.is_empty(), "{} does not take {rest:?}", method.name);
        let mut arguments = Arguments::parse(&Value::Object(data).to_string()).unwrap();
        for (name, object) in objects {
            arguments = arguments.with_object(name, object);
        }
        for (name, content) in bytes {
            arguments = arguments.with_bytes(name, content);
        }
        arguments
    }

    async fn act(&self, step: &Value) -> Result<Held, NakivoError> {
        let none = Map::new();
        let given = step["with"].as_object().unwrap_or(&none);
        if let Some(name) = step["make"].as_str() {
            let (class, constructor) = name.split_once('.').unwrap();
            let arguments = self.arguments(&self.method(class, constructor), given);
            return new(class, constructor, arguments).await.map(held);
        }
        if let Some(name) = step["call"].as_str() {
            let (object, method) = name.split_once('.').unwrap();
            let object = self.object(object);
            let arguments = self.arguments(&self.method(object.class(), method), given);
            return object.call(method, arguments).await.map(held);
        }
        if let Some(name) = step["read"].as_str() {
            return self.read(self.object(name)).await.map(Held::Data);
        }
        let run = self.object(step["cancel"].as_str().unwrap());
        Arc::clone(&run).call("next", Arguments::default()).await?;
        Arc::clone(&run).call("cancel", Arguments::default()).await?;
        run.call("outcome", Arguments::default()).await.map(held)
    }

    /// A listing as a whole; content as base64.
    async fn read(&self, stream: Arc<dyn Class>) -> Result<Value, NakivoError> {
        let content = stream.class() == "ByteStream";
        let (mut all, mut bytes) = (Vec::new(), Vec::new());
        loop {
            let arguments = Arguments::parse(if content { "{}" } else { r#"{"most":7}"# })?;
            match Arc::clone(&stream).call("next", arguments).await? {
                Answer::Bytes(piece) => bytes.extend_from_slice(&piece),
                Answer::Json(page) => {
                    let page: Vec<Value> = serde_json::from_str(&page).unwrap();
                    if page.is_empty() {
                        return Ok(Value::Array(all));
                    }
                    all.extend(page);
                }
                Answer::Nothing => return Ok(Value::String(STANDARD.encode(bytes))),
                Answer::Object(object) => panic!("{object:?}"),
            }
        }
    }

    async fn step(&mut self, number: usize, step: &Value) {
        let came = self.act(step).await;
        let told = format!("step {number}, {step}");
        if let Some(code) = step["error"].as_str() {
            let error = came.err().unwrap_or_else(|| panic!("{told}: no error"));
            assert_eq!(error.failure().code, code, "{told}: {error}");
            return;
        }
        let came = came.unwrap_or_else(|error| panic!("{told}: {error}"));
        if let Held::Data(data) = &came {
            for (path, wanted) in step["expect"].as_object().into_iter().flatten() {
                assert_eq!(at(data, path), &self.resolved(wanted), "{told}: {path} of {data}");
            }
            for (path, count) in step["count"].as_object().into_iter().flatten() {
                let found = at(data, path).as_array().unwrap().len() as u64;
                assert_eq!(Some(found), count.as_u64(), "{told}: {path} of {data}");
            }
            if let Some(wanted) = step.get("equals") {
                assert_eq!(data, wanted, "{told}");
            }
        }
        if let Some(name) = step["as"].as_str() {
            self.held.insert(name.to_owned(), came);
        }
    }
}

/// What an answer is to later steps.
fn held(answer: Answer) -> Held {
    match answer {
        Answer::Nothing => Held::Data(Value::Null),
        Answer::Json(text) => Held::Data(serde_json::from_str(&text).unwrap()),
        Answer::Bytes(bytes) => Held::Data(Value::String(STANDARD.encode(bytes))),
        Answer::Object(object) => Held::Object(object),
    }
}

/// What is at a path such as `points.0.id`; an empty one is the whole.
fn at<'a>(data: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(data, |data, part| match data {
            Value::Array(values) => &values[part.parse::<usize>().unwrap()],
            other => &other[part],
        })
}

#[test]
fn the_scenario_of_all_languages() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenario.json")).unwrap();
    let scenario: Value = serde_json::from_str(&text).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut running = Scenario {
        api: describe(),
        directory: directory.path().to_str().unwrap().to_owned(),
        held: BTreeMap::new(),
    };
    let steps = scenario["steps"].as_array().unwrap();
    nakivo_bindings::runtime::handle().unwrap().block_on(async {
        for (number, step) in steps.iter().enumerate() {
            running.step(number, step).await;
        }
    });
    println!("{} steps", steps.len());
}
