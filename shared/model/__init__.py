"""The vocabulary of Lamplighter: frozen data and look-ups in it, no logic.

Times are aware UTC datetimes, durations timedeltas, money US dollars unless `Prices.currency` says otherwise,
capacity thousands of tokens per minute. Import all names from this package, not from its files.
"""

from shared.model.configured import ALWAYS as ALWAYS
from shared.model.configured import Account as Account
from shared.model.configured import BillingStart as BillingStart
from shared.model.configured import BillingUnit as BillingUnit
from shared.model.configured import Closure as Closure
from shared.model.configured import Configs as Configs
from shared.model.configured import DeploymentConfig as DeploymentConfig
from shared.model.configured import DeploymentSpec as DeploymentSpec
from shared.model.configured import HostedId as HostedId
from shared.model.configured import Large as Large
from shared.model.configured import Mode as Mode
from shared.model.configured import OneOffWindow as OneOffWindow
from shared.model.configured import Owner as Owner
from shared.model.configured import Prices as Prices
from shared.model.configured import Settings as Settings
from shared.model.configured import Task as Task
from shared.model.configured import UploadStart as UploadStart
from shared.model.configured import WeeklyWindow as WeeklyWindow
from shared.model.documents import Demand as Demand
from shared.model.documents import Document as Document
from shared.model.documents import DocumentState as DocumentState
from shared.model.inference import TINY as TINY
from shared.model.inference import BatchRequest as BatchRequest
from shared.model.inference import Embedded as Embedded
from shared.model.inference import Message as Message
from shared.model.inference import ModelAnswer as ModelAnswer
from shared.model.inference import ModelRequest as ModelRequest
from shared.model.inference import Response as Response
from shared.model.inference import Slot as Slot
from shared.model.inference import Template as Template
from shared.model.inference import prompt as prompt
from shared.model.notify import EventType as EventType
from shared.model.notify import Receiver as Receiver
from shared.model.notify import ReceiverKind as ReceiverKind
from shared.model.record import Backoff as Backoff
from shared.model.record import Batch as Batch
from shared.model.record import DeploymentRecord as DeploymentRecord
from shared.model.record import Generation as Generation
from shared.model.record import History as History
from shared.model.record import LastDecision as LastDecision
from shared.model.record import ModelContext as ModelContext
from shared.model.recorded import AccountRecord as AccountRecord
from shared.model.recorded import Action as Action
from shared.model.recorded import Hold as Hold
from shared.model.recorded import Hosted as Hosted
from shared.model.recorded import HostingSession as HostingSession
from shared.model.recorded import Observed as Observed
from shared.model.recorded import RecordState as RecordState
from shared.model.records import Column as Column
from shared.model.records import RecordForm as RecordForm
from shared.model.records import Records as Records
from shared.model.sources import ContainerSource as ContainerSource
from shared.model.sources import DatabaseSource as DatabaseSource
from shared.model.sources import RowSource as RowSource
from shared.model.sources import Source as Source
from shared.model.sources import TableSource as TableSource
