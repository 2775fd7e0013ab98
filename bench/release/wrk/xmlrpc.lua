-- XML-RPC calls for wrk. Arguments: `request_action`, or `query_transaction` or `transaction_history` and a file of ids.
-- Every request is another one: the same again would be the same transaction.

local threads = {}

function setup(thread)
    thread:set("number", #threads + 1)
    table.insert(threads, thread)
end

local head = '<?xml version="1.0"?><methodCall><methodName>%s</methodName><params>'
local credentials = "<param><value><struct/></value></param>"
local member = "<member><name>%s</name><value><string>%s</string></value></member>"

function init(args)
    method = args[1]
    count, faults, ids = 0, 0, {}
    start = string.format(head, method)
    if args[2] then
        for line in io.lines(args[2]) do table.insert(ids, line) end
    end
    stamp = os.time()
end

function request()
    count = count + 1
    local data
    if method == "request_action" then
        data = string.format(member, "project", "bench") .. string.format(member, "action", "noop")
            .. string.format(member, "ticket", string.format("CHG-%d-%d-%d", stamp, number, count))
    else
        data = string.format(member, "transaction", ids[(count * 7919 + number * 104729) % #ids + 1])
    end
    local body = start .. credentials .. "<param><value><struct>" .. data .. "</struct></value></param></params></methodCall>"
    return wrk.format("POST", "/RPC2", { ["Content-Type"] = "text/xml" }, body)
end

function response(status, headers, body)
    if status ~= 200 or body:find("<fault>", 1, true) then faults = faults + 1 end
end

function done(summary, latency, requests)
    local wrong = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    for _, thread in ipairs(threads) do wrong = wrong + thread:get("faults") end
    print(string.format('{"requests": %d, "seconds": %.6f, "wrong": %d, "median_ms": %.3f, "p99_ms": %.3f}',
        summary.requests, summary.duration / 1e6, wrong, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
