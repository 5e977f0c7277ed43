//! What a component may be made of, looked at before anything compiles it.
//!
//! A compiler's work is not bounded by the size of what it is given: a component of 1 KB that instantiates the one
//! inside it twice, thirty levels deep, asks for a billion instances. So what is multiplied is counted here without
//! doing it, and what makes a compiler slow is bounded far above what real policies need. What no structure shows is
//! bounded by the process that compiles, see `compiler`.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, Encoding, Instance, Parser, Payload,
};

use crate::error::LoadFault;

/// Components inside components. 16: tools nest two deep, a composition of compositions a few more.
pub(crate) const NESTING_MAX: u64 = 16;

/// Instances that one instantiation makes, those inside other components counted as often as they are made. 1,000: a
/// Rust policy makes 2, QuickJS's a dozen, CPython's with its libraries 38.
pub(crate) const INSTANCES_MAX: u64 = 1_000;

/// Imports, exports, aliases, types and instances, counted as often as they are made. 100,000: the largest of the
/// known builders come to some thousands, and the compiler keeps every one of them in memory.
pub(crate) const ITEMS_MAX: u64 = 100_000;

/// Core modules. 256: one for each library of an interpreter.
pub(crate) const MODULES_MAX: u64 = 256;

/// Functions of all modules together. 100,000: CPython has some 20,000, a browser's JavaScript engine some 40,000; each
/// takes the compiler a tenth of a millisecond.
pub(crate) const FUNCTIONS_MAX: u64 = 100_000;

/// The body of one function, in bytes. 512 KiB: an interpreter's main loop has some 100 KiB, and the compiler's time
/// grows faster than the size.
pub(crate) const FUNCTION_BYTES_MAX: u64 = 512 << 10;

/// Types of all modules and components together, each counted once. 50,000: CPython's have some 2,000.
pub(crate) const TYPES_MAX: u64 = 50_000;

/// Refuses a component that is made of more than the limits above, or that hands components around, so that nobody
/// could count. Takes time in proportion to its size and next to no memory.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadFault> {
    let damaged = |error: BinaryReaderError| LoadFault::Damaged {
        offset: error.offset(),
        what: error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let mut frames: Vec<Frame> = Vec::new();
    let mut totals = Totals::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(damaged)?;
        if let Payload::Version { encoding, .. } = payload {
            if encoding == Encoding::Module {
                totals.modules += 1;
                limit("core modules", totals.modules, MODULES_MAX)?;
            }
            frames.push(Frame {
                is_component: encoding == Encoding::Component,
                ..Frame::default()
            });
            let nested = frames.iter().filter(|frame| frame.is_component).count() as u64;
            limit("components inside one another", nested, NESTING_MAX)?;
            continue;
        }
        if matches!(payload, Payload::End(_)) {
            let Some(ended) = frames.pop() else { continue };
            ended.cost.check()?;
            if let Some(around) = frames.last_mut()
                && ended.is_component
            {
                around.components.push(ended.cost);
            }
            continue;
        }
        totals.count(&payload)?;
        let (outer, frame) = match frames.split_last_mut() {
            Some((frame, outer)) => (outer, frame),
            None => continue,
        };
        frame.count(payload, outer).map_err(|wrong| match wrong {
            Wrong::Damaged(error) => damaged(error),
            Wrong::Refused(fault) => fault,
        })?;
    }
    Ok(())
}

fn limit(what: &'static str, found: u64, max: u64) -> Result<(), LoadFault> {
    match found > max {
        true => Err(LoadFault::TooMuch { what, found, max }),
        false => Ok(()),
    }
}

/// What is compiled once, however often it is instantiated.
#[derive(Default)]
struct Totals {
    modules: u64,
    functions: u64,
    types: u64,
}

impl Totals {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), LoadFault> {
        match payload {
            Payload::FunctionSection(section) => self.functions += u64::from(section.count()),
            Payload::TypeSection(section) => self.types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => self.types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => self.types += u64::from(section.count()),
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let bytes = range.end.saturating_sub(range.start) as u64;
                limit("bytes in one function", bytes, FUNCTION_BYTES_MAX)?;
            }
            _ => {}
        }
        limit("functions", self.functions, FUNCTIONS_MAX)?;
        limit("types", self.types, TYPES_MAX)
    }
}

/// What making one instance of a component comes to.
#[derive(Clone, Copy, Default)]
struct Cost {
    instances: u64,
    items: u64,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.instances = self.instances.saturating_add(other.instances);
        self.items = self.items.saturating_add(other.items);
    }

    fn instance(&mut self, arguments: usize) {
        self.add(Cost {
            instances: 1,
            items: 1 + arguments as u64,
        });
    }

    fn items(&mut self, count: u32) {
        self.items = self.items.saturating_add(u64::from(count));
    }

    fn check(self) -> Result<(), LoadFault> {
        limit("instances", self.instances, INSTANCES_MAX)?;
        limit("imports, exports, aliases and types", self.items, ITEMS_MAX)
    }
}

/// A component or module that is being read.
#[derive(Default)]
struct Frame {
    is_component: bool,
    cost: Cost,
    /// The components that it can name by a number, each with what an instance of it comes to.
    components: Vec<Cost>,
}

enum Wrong {
    Damaged(BinaryReaderError),
    Refused(LoadFault),
}

impl From<BinaryReaderError> for Wrong {
    fn from(error: BinaryReaderError) -> Self {
        Wrong::Damaged(error)
    }
}

impl From<LoadFault> for Wrong {
    fn from(fault: LoadFault) -> Self {
        Wrong::Refused(fault)
    }
}

impl Frame {
    /// Counts one section. `outer` are the components around this one, the innermost last.
    fn count(&mut self, payload: Payload<'_>, outer: &[Frame]) -> Result<(), Wrong> {
        match payload {
            Payload::ComponentImportSection(section) => {
                self.cost.items(section.count());
                for import in section {
                    if import?.ty.kind() == ComponentExternalKind::Component {
                        return Err(handed_around());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                self.cost.items(section.count());
                for export in section {
                    let export = export?;
                    // An export has a number of its own beside that of what it exports.
                    if export.kind == ComponentExternalKind::Component {
                        let cost = self.component(export.index)?;
                        self.components.push(cost);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                self.cost.items(section.count());
                for alias in section {
                    self.alias(&alias?, outer)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    match instance? {
                        ComponentInstance::Instantiate {
                            component_index,
                            args,
                        } => {
                            let is_component = |kind: ComponentExternalKind| {
                                kind == ComponentExternalKind::Component
                            };
                            if args.iter().any(|argument| is_component(argument.kind)) {
                                return Err(handed_around());
                            }
                            self.cost.instance(args.len());
                            let inside = self.component(component_index)?;
                            self.cost.add(inside);
                        }
                        ComponentInstance::FromExports(exports) => {
                            self.cost.instance(exports.len())
                        }
                    }
                }
                self.cost.check()?;
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    match instance? {
                        Instance::Instantiate { args, .. } => self.cost.instance(args.len()),
                        Instance::FromExports(exports) => self.cost.instance(exports.len()),
                    }
                }
            }
            Payload::CoreTypeSection(section) => self.cost.items(section.count()),
            Payload::ComponentTypeSection(section) => self.cost.items(section.count()),
            Payload::ComponentCanonicalSection(section) => self.cost.items(section.count()),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.cost.items(1),
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Frame]) -> Result<(), Wrong> {
        match alias {
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count,
                index,
            } => {
                let around = match count.checked_sub(1) {
                    None => Some(&*self),
                    Some(out) => outer.iter().rev().nth(out as usize),
                };
                let cost = match around {
                    Some(frame) => frame.component(*index)?,
                    None => Cost::default(),
                };
                self.components.push(cost);
                Ok(())
            }
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Component,
                ..
            } => Err(handed_around()),
            _ => Ok(()),
        }
    }

    /// What an instance of the component with this number comes to. A number that is none is left to the validator.
    fn component(&self, index: u32) -> Result<Cost, Wrong> {
        Ok(self
            .components
            .get(index as usize)
            .copied()
            .unwrap_or_default())
    }
}

/// A component that another one is given, or takes out of an instance: what it comes to depends on who gives it.
fn handed_around() -> Wrong {
    LoadFault::ComponentAsArgument.into()
}
