use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::Descriptor;

/// The JSON schema (draft 2020-12) of a descriptor file, overlays included. It knows the structure; what the parts mean
/// together is checked by [`crate::Parsed::check`] alone.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaGenerator::default()
        .into_root_schema_for::<Descriptor>()
        .to_value();
    let overlay = Overlays::of(&schema).build();
    let environments = json!({
        "type": "object",
        "description": "What differs by environment: maps merge, scalars and lists replace, null removes.",
        "propertyNames": {"pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 20},
        "additionalProperties": {"$ref": "#/$defs/Overlay"},
    });
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        properties.insert("environments".to_owned(), environments);
    }
    if let Some(definitions) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        definitions.extend(overlay);
    }
    schema
}

/// Derives the schemas of overlays from the schema of the whole: nothing is required, null removes a key, and maps in
/// maps are overlays again.
struct Overlays<'s> {
    root: &'s Value,
    built: Map<String, Value>,
    begun: BTreeSet<String>,
}

impl<'s> Overlays<'s> {
    fn of(root: &'s Value) -> Self {
        Self {
            root,
            built: Map::new(),
            begun: BTreeSet::new(),
        }
    }

    fn build(mut self) -> Map<String, Value> {
        let mut overlay = self.partial(self.root);
        if let Some(properties) = overlay.pointer_mut("/properties").and_then(Value::as_object_mut) {
            properties.remove("version");
        }
        let mut clean = Map::new();
        for key in ["type", "properties", "additionalProperties"] {
            if let Some(value) = overlay.get(key) {
                clean.insert(key.to_owned(), value.clone());
            }
        }
        clean.insert(
            "description".to_owned(),
            "What differs in one environment.".into(),
        );
        self.built.insert("Overlay".to_owned(), clean.into());
        self.built
    }

    /// A record with all its keys optional and removable.
    fn partial(&mut self, record: &Value) -> Value {
        let mut record = record.clone();
        let Some(schema) = record.as_object_mut() else {
            return record;
        };
        schema.remove("required");
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for property in properties.values_mut() {
                *property = self.removable(property);
            }
        }
        record
    }

    /// What may stand over a value of `schema`.
    fn removable(&mut self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| {
            schema.remove("default");
            schema.remove("description")
        });
        if let Some(values) = schema
            .get("additionalProperties")
            .filter(|values| values.is_object())
            .cloned()
        {
            let values = self.removable(&values);
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("additionalProperties".to_owned(), values);
            }
        }
        let mut branches = Vec::new();
        match self.record(&schema) {
            Some(name) => branches.push(json!({"$ref": format!("#/$defs/{name}Overlay")})),
            None => {
                if self.is_choice(&schema) {
                    // A part of one of its maps may stand alone over the rest of it.
                    branches.push(json!({"type": "object"}));
                }
                branches.insert(0, schema);
            }
        }
        branches.push(json!({"type": "null"}));
        let mut removable = Map::new();
        removable.insert("anyOf".to_owned(), branches.into());
        if let Some(description) = description {
            removable.insert("description".to_owned(), description);
        }
        removable.into()
    }

    fn definition(&self, schema: &Value) -> Option<(String, Value)> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        let definition = self.root.pointer("/$defs")?.get(name)?;
        Some((name.to_owned(), definition.clone()))
    }

    /// The name of the record that `schema` refers to, whose overlay is then built.
    fn record(&mut self, schema: &Value) -> Option<String> {
        let (name, definition) = self.definition(schema)?;
        definition.get("properties")?;
        if self.begun.insert(name.clone()) {
            let partial = self.partial(&definition);
            self.built.insert(format!("{name}Overlay"), partial);
        }
        Some(name)
    }

    /// Whether `schema` refers to a choice between forms of which one is a map.
    fn is_choice(&self, schema: &Value) -> bool {
        let Some((_, definition)) = self.definition(schema) else {
            return false;
        };
        let forms = definition.get("oneOf").or_else(|| definition.get("anyOf"));
        let forms = forms.and_then(Value::as_array);
        forms.is_some_and(|forms| forms.iter().any(|form| form.get("properties").is_some()))
    }
}
