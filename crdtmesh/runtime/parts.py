"""The parts of a runtime, put together: who knows whom."""

from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.agenda import Agenda
from crdtmesh.runtime.channels import Channels
from crdtmesh.runtime.commands import Commands
from crdtmesh.runtime.conflicts import Conflicts
from crdtmesh.runtime.directory import Directory
from crdtmesh.runtime.flows import Flows
from crdtmesh.runtime.hosts import Hosts
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.lives import Lives
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.own_work import StateEncoder
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.router import Router
from crdtmesh.runtime.routes import Routes
from crdtmesh.runtime.schedules import Schedules
from crdtmesh.runtime.subscribers import Subscribers
from crdtmesh.runtime.timed import Timed
from crdtmesh.runtime.turn import Turn
from crdtmesh.runtime.turns import Turns
from crdtmesh.runtime.type_rules import TypeRules

__all__ = ["Parts"]


class Parts:
    """What a `Runtime` consists of; see there for the arguments."""

    def __init__(
        self, options: RuntimeOptions, *, placement: Placement, replica: Replica, encode_state: StateEncoder
    ) -> None:
        live: dict[int, Turn] = {}
        self.replies = Replies(replica, live)
        self.turns = Turns(options, replica=replica, replies=self.replies, live=live, encode_state=encode_state)
        self.routes = Routes(options, self.replies)
        self.hosts = Hosts(options.definitions_max, options.window_max)
        self.directory = Directory()
        self.instances = Instances(replica, self.hosts, self.directory)
        self.lives = Lives(
            options, placement=placement, replies=self.replies, turns=self.turns, instances=self.instances
        )
        self.router = Router(
            options,
            placement=placement,
            live=live,
            lives=self.lives,
            replies=self.replies,
            turns=self.turns,
            routes=self.routes,
            instances=self.instances,
        )
        self.channels = Channels(replica, self.instances)
        self.flows = Flows(self.replies, self.router, self.routes, channels=self.channels, instances=self.instances)
        self.agenda = Agenda(
            Schedules(replica, replica.replica_id.hex()),
            Timed(replica),
            hosts=self.hosts,
            flows=self.flows,
            router=self.router,
            replies=self.replies,
        )
        self.type_rules = TypeRules(options.type_rules)
        self.conflicts = Conflicts(self.hosts, self.directory)
        self.subscribers = Subscribers()
        self.commands = Commands(
            flows=self.flows,
            routes=self.routes,
            lives=self.lives,
            replies=self.replies,
            agenda=self.agenda,
            instances=self.instances,
            subscribers=self.subscribers,
            router=self.router,
        )
        # Who comes first in a chain of calls is told last of whom it leads to.
        self.lives.place_again = lambda turns, now_ns: self.router.place_again(turns, now_ns=now_ns)
        self.router.on_scheduled = lambda turn, now_ns: self.agenda.schedule(turn, now_ns=now_ns)
        self.router.on_command = self.commands.take
        self.flows.on_publish = lambda topic, message, now_ns: self.commands.publish(topic, message, now_ns=now_ns)
